/* The fast path of record-hash v1: Arrow buffers in, RFC 6962 leaf hashes out.
 *
 * A plain shared library without Python.h: kernel.py calls it through ctypes, which lets go of
 * the interpreter lock, and compares it with hashlib before it trusts it. Every offset and
 * index is checked against the buffer it points into: data files are not trusted.
 */
#include "_sha256.h"

#include <stdlib.h>

enum {
    KIND_NULL = 0, KIND_BOOL, KIND_INT, KIND_UINT, KIND_FLOAT, KIND_DECIMAL, KIND_BYTES32,
    KIND_BYTES64, KIND_FIXED, KIND_SECONDS, KIND_LIST32, KIND_LIST64, KIND_LIST_FIXED,
    KIND_STRUCT, KIND_DICTIONARY, KIND_RAW
};

enum { OK = 0, NO_MEMORY = 1, CORRUPT = 2, TOO_LONG = 3 };

/* Mirrors kernel_columns.Column. */
typedef struct column {
    int32_t kind;
    int32_t width;           /* bytes of a stored value; elements of a fixed-size list */
    int64_t offset;          /* of row 0 in the buffers, in values */
    int64_t limit;           /* bytes in data, or values in the child */
    int64_t per_second;      /* of a KIND_SECONDS count */
    int64_t n_children;
    const uint8_t *validity; /* bitmap, or NULL when nothing is null */
    const uint8_t *data;
    const uint8_t *offsets;
    const struct column *children;
} column;

typedef struct {
    uint8_t *bytes;
    size_t length, capacity;
} buffer;

#define TAIL 80 /* room for SHA-256 padding behind a row */
#define NONCE 16
#define DIGEST 32

static int reserve(buffer *out, size_t more) {
    size_t want = out->length + more + TAIL;
    if (want <= out->capacity) return OK;
    while (out->capacity < want) out->capacity *= 2;
    uint8_t *grown = realloc(out->bytes, out->capacity);
    if (!grown) return NO_MEMORY;
    out->bytes = grown;
    return OK;
}

static inline void put32(buffer *out, uint32_t value) {
    store_be32(out->bytes + out->length, value);
    out->length += 4;
}

static inline void put64(buffer *out, uint64_t value) {
    store_be64(out->bytes + out->length, value);
    out->length += 8;
}

static inline uint64_t load_unsigned(const uint8_t *at, int width) {
    uint8_t v1; uint16_t v2; uint32_t v4; uint64_t v8;
    switch (width) {
    case 1: memcpy(&v1, at, 1); return v1;
    case 2: memcpy(&v2, at, 2); return v2;
    case 4: memcpy(&v4, at, 4); return v4;
    default: memcpy(&v8, at, 8); return v8;
    }
}

static inline int64_t load_signed(const uint8_t *at, int width) {
    uint64_t value = load_unsigned(at, width);
    switch (width) {
    case 1: return (int8_t)value;
    case 2: return (int16_t)value;
    case 4: return (int32_t)value;
    default: return (int64_t)value;
    }
}

static inline int bit(const uint8_t *bits, int64_t at) { return bits[at >> 3] >> (at & 7) & 1; }

static int put_bytes(buffer *out, const uint8_t *data, int64_t start, int64_t end, int64_t limit) {
    if (start < 0 || end < start || end > limit) return CORRUPT;
    uint64_t count = (uint64_t)(end - start);
    if (count > UINT32_MAX) return TOO_LONG;
    if (reserve(out, count + 4)) return NO_MEMORY;
    put32(out, (uint32_t)count);
    if (count) memcpy(out->bytes + out->length, data + start, count);
    out->length += count;
    return OK;
}

static void put_float(buffer *out, const uint8_t *at, int width) {
    static const uint64_t infinity[] = {0x7c00, 0x7f800000, 0x7ff0000000000000};
    static const uint64_t nan[] = {0x7e00, 0x7fc00000, 0x7ff8000000000000};
    int which = width == 2 ? 0 : width == 4 ? 1 : 2;
    uint64_t bits = load_unsigned(at, width);
    uint64_t magnitude = bits & ~((uint64_t)1 << (width * 8 - 1));
    if (magnitude > infinity[which]) bits = nan[which];
    else if (magnitude == 0) bits = 0;
    if (width == 8) put64(out, bits);
    else if (width == 4) put32(out, (uint32_t)bits);
    else {
        out->bytes[out->length++] = (uint8_t)(bits >> 8);
        out->bytes[out->length++] = (uint8_t)bits;
    }
}

static void put_decimal(buffer *out, const uint8_t *at, int width) {
    uint8_t *to = out->bytes + out->length;
    memset(to, at[width - 1] & 0x80 ? 0xff : 0x00, 32);
    for (int byte = 0; byte < width; byte++) to[31 - byte] = at[byte];
    out->length += 32;
}

static void put_seconds(buffer *out, int64_t count, int64_t per_second) {
    int64_t seconds = count / per_second, rest = count % per_second;
    if (rest < 0) { seconds -= 1; rest += per_second; }
    put64(out, (uint64_t)seconds);
    put32(out, (uint32_t)(rest * (1000000000 / per_second)));
}

static int put_field(buffer *out, const column *from, int64_t row);

static int put_list(buffer *out, const column *from, int64_t start, int64_t end) {
    if (start < 0 || end < start || end > from->limit) return CORRUPT;
    if (end - start > UINT32_MAX) return TOO_LONG;
    if (reserve(out, 4)) return NO_MEMORY;
    put32(out, (uint32_t)(end - start));
    for (int64_t at = start; at < end; at++) {
        int fault = put_field(out, from->children, at);
        if (fault) return fault;
    }
    return OK;
}

/* The presence byte and the value; a dictionary's null may sit in the index or in the values. */
static int put_field(buffer *out, const column *from, int64_t row) {
    int64_t at = from->offset + row;
    if (reserve(out, 40)) return NO_MEMORY;
    if (from->kind == KIND_NULL || (from->validity && !bit(from->validity, at))) {
        out->bytes[out->length++] = 0;
        return OK;
    }
    const uint8_t *value = from->data + at * from->width;
    if (from->kind == KIND_DICTIONARY) {
        uint64_t index = load_unsigned(value, from->width);
        if (index >= (uint64_t)from->limit) return CORRUPT;
        return put_field(out, from->children, (int64_t)index);
    }
    if (from->kind == KIND_RAW) {
        int64_t start = load_signed(from->offsets + at * 8, 8);
        int64_t end = load_signed(from->offsets + at * 8 + 8, 8);
        if (start < 0 || end < start || end > from->limit) return CORRUPT;
        if (reserve(out, (size_t)(end - start))) return NO_MEMORY;
        memcpy(out->bytes + out->length, from->data + start, (size_t)(end - start));
        out->length += (size_t)(end - start);
        return OK;
    }
    out->bytes[out->length++] = 1;
    switch (from->kind) {
    case KIND_BOOL: out->bytes[out->length++] = (uint8_t)bit(from->data, at); return OK;
    case KIND_INT: put64(out, (uint64_t)load_signed(value, from->width)); return OK;
    case KIND_UINT: put64(out, load_unsigned(value, from->width)); return OK;
    case KIND_FLOAT: put_float(out, value, from->width); return OK;
    case KIND_DECIMAL: put_decimal(out, value, from->width); return OK;
    case KIND_SECONDS:
        put_seconds(out, load_signed(value, from->width), from->per_second);
        return OK;
    case KIND_FIXED:
        return put_bytes(out, from->data, at * from->width, (at + 1) * from->width, from->limit);
    case KIND_BYTES32:
        return put_bytes(out, from->data, load_signed(from->offsets + at * 4, 4),
                         load_signed(from->offsets + at * 4 + 4, 4), from->limit);
    case KIND_BYTES64:
        return put_bytes(out, from->data, load_signed(from->offsets + at * 8, 8),
                         load_signed(from->offsets + at * 8 + 8, 8), from->limit);
    case KIND_LIST32:
        return put_list(out, from, load_signed(from->offsets + at * 4, 4),
                        load_signed(from->offsets + at * 4 + 4, 4));
    case KIND_LIST64:
        return put_list(out, from, load_signed(from->offsets + at * 8, 8),
                        load_signed(from->offsets + at * 8 + 8, 8));
    case KIND_LIST_FIXED:
        return put_list(out, from, at * from->width, (at + 1) * from->width);
    case KIND_STRUCT:
        for (int64_t child = 0; child < from->n_children; child++) {
            int fault = put_field(out, from->children + child, row);
            if (fault) return fault;
        }
        return OK;
    default: return CORRUPT;
    }
}

typedef struct {
    uint32_t inner[8], outer[8], leaf[8];
} midstates;

static void prepare(midstates *to, const uint8_t key[32], const uint8_t prefix[64]) {
    uint8_t pad[64];
    memset(pad, 0x36, 64);
    for (int at = 0; at < 32; at++) pad[at] ^= key[at];
    sha256_start(to->inner);
    sha256_blocks(to->inner, pad, 1);
    for (int at = 0; at < 64; at++) pad[at] ^= 0x36 ^ 0x5c;
    sha256_start(to->outer);
    sha256_blocks(to->outer, pad, 1);
    sha256_start(to->leaf);
    sha256_blocks(to->leaf, prefix, 1);
    memset(pad, 0, 64);
}

/* Finishes two messages that each follow one block already in `start`; they share the pipeline. */
static void finish_two(const uint32_t start[8], uint8_t *one, size_t one_length, uint8_t *two,
                       size_t two_length, uint8_t *one_out, uint8_t *two_out) {
    uint32_t left[8], right[8];
    memcpy(left, start, 32);
    memcpy(right, start, 32);
    size_t one_blocks = sha256_pad(one, one_length, one_length + 64);
    size_t two_blocks = sha256_pad(two, two_length, two_length + 64);
    size_t both = one_blocks < two_blocks ? one_blocks : two_blocks;
    sha256_blocks_two(left, one, right, two, both);
    sha256_blocks(left, one + both * 64, one_blocks - both);
    sha256_blocks(right, two + both * 64, two_blocks - both);
    sha256_store(left, one_out);
    sha256_store(right, two_out);
}

/* Leaves of two rows: nonce = HMAC(fields)[:16] goes in front of the fields, then the leaf. */
static void two_leaves(const midstates *from, buffer *one, buffer *two, uint8_t *one_out,
                       uint8_t *two_out) {
    uint8_t left[128], right[128];
    finish_two(from->inner, one->bytes + NONCE, one->length - NONCE, two->bytes + NONCE,
               two->length - NONCE, left, right);
    finish_two(from->outer, left, DIGEST, right, DIGEST, one_out, two_out);
    memcpy(one->bytes, one_out, NONCE);
    memcpy(two->bytes, two_out, NONCE);
    finish_two(from->leaf, one->bytes, one->length, two->bytes, two->length, one_out, two_out);
}

static int put_row(buffer *out, const column *columns, int64_t count, int64_t row) {
    out->length = NONCE;
    for (int64_t at = 0; at < count; at++) {
        int fault = put_field(out, columns + at, row);
        if (fault) return fault;
    }
    return OK;
}

/* Writes rows * 32 bytes to `out`. Returns 0, or a fault with `*bad_row` set. */
int seal_leaves(const column *columns, int64_t count, int64_t rows, const uint8_t key[32],
                const uint8_t prefix[64], uint8_t *out, int64_t *bad_row) {
    midstates from;
    buffer one = {malloc(1024), NONCE, 1024}, two = {malloc(1024), NONCE, 1024};
    uint8_t spare[DIGEST];
    int fault = one.bytes && two.bytes ? OK : NO_MEMORY;
    prepare(&from, key, prefix);
    *bad_row = 0;
    for (int64_t row = 0; !fault && row < rows; row += 2) {
        int pair = row + 1 < rows;
        *bad_row = row;
        if ((fault = put_row(&one, columns, count, row))) break;
        if (pair) {
            *bad_row = row + 1;
            if ((fault = put_row(&two, columns, count, row + 1))) break;
        }
        two_leaves(&from, &one, &two, out + row * DIGEST,
                   pair ? out + (row + 1) * DIGEST : spare);
    }
    free(one.bytes);
    free(two.bytes);
    return fault;
}

/* A node's two blocks: 0x01, left, right, padding. */
static void fill_node(uint8_t block[128], const uint8_t *children) {
    block[0] = 1;
    memcpy(block + 1, children, 64);
    memset(block + 65, 0, 63);
    block[65] = 0x80;
    block[126] = 0x02; /* 520 bits */
    block[127] = 0x08;
}

/* Roots over `blocks` runs of 256 leaves each, 32 bytes apiece, to `out`. */
void seal_reduce(const uint8_t *leaves, int64_t blocks, uint8_t *out) {
    uint8_t level[256 * DIGEST], one[128], two[128];
    uint32_t left[8], right[8];
    for (int64_t block = 0; block < blocks; block++) {
        memcpy(level, leaves + block * (256 * DIGEST), sizeof level);
        for (int count = 128; count > 0; count /= 2) {
            for (int node = 0; node < count; node += 2) {
                int pair = node + 1 < count;
                fill_node(one, level + node * 64);
                fill_node(two, level + (node + pair) * 64);
                sha256_start(left);
                sha256_start(right);
                sha256_blocks_two(left, one, right, two, 2);
                sha256_store(left, level + node * DIGEST);
                if (pair) sha256_store(right, level + (node + 1) * DIGEST);
            }
        }
        memcpy(out + block * DIGEST, level, DIGEST);
    }
}

/* SHA-256 of two equally long messages, for the check at load. */
void seal_sha256_two(const uint8_t *one, const uint8_t *two, int64_t length, uint8_t *out) {
    uint32_t left[8], right[8];
    size_t whole = (size_t)length / 64, rest = (size_t)length % 64;
    uint8_t one_end[192], two_end[192];
    sha256_start(left);
    sha256_start(right);
    sha256_blocks_two(left, one, right, two, whole);
    memcpy(one_end, one + whole * 64, rest);
    memcpy(two_end, two + whole * 64, rest);
    size_t blocks = sha256_pad(one_end, rest, (uint64_t)length);
    sha256_pad(two_end, rest, (uint64_t)length);
    sha256_blocks(left, one_end, blocks);
    sha256_blocks(right, two_end, blocks);
    sha256_store(left, out);
    sha256_store(right, out + DIGEST);
}
