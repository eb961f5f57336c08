/* SHA-256 (FIPS 180-4), block by block: the processor's own instructions where it has them,
 * else a block function handed in from OpenSSL, else portable C. Chosen once, by seal_choose.
 */
#ifndef SEAL_SHA256_H
#define SEAL_SHA256_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#define HAVE_SHA_NI 1
#include <cpuid.h>
#include <immintrin.h>
#endif

static const uint32_t K[64] __attribute__((aligned(16))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

typedef void (*openssl_transform)(void *context, const unsigned char *block);

enum { PORTABLE = 0, OPENSSL = 1, SHA_NI = 2 };
static int chosen = PORTABLE;
static openssl_transform transform = NULL;

static inline void store_be32(uint8_t *to, uint32_t value) {
    to[0] = (uint8_t)(value >> 24);
    to[1] = (uint8_t)(value >> 16);
    to[2] = (uint8_t)(value >> 8);
    to[3] = (uint8_t)value;
}

static inline void store_be64(uint8_t *to, uint64_t value) {
    store_be32(to, (uint32_t)(value >> 32));
    store_be32(to + 4, (uint32_t)value);
}

static inline void sha256_start(uint32_t state[8]) {
    static const uint32_t start[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    memcpy(state, start, sizeof start);
}

static inline void sha256_store(const uint32_t state[8], uint8_t out[32]) {
    for (int at = 0; at < 8; at++) store_be32(out + at * 4, state[at]);
}

/* Pads the last `length` bytes of a message of `total` bytes; returns how many blocks they fill.
 * `data` needs 72 bytes of room behind `length`. */
static inline size_t sha256_pad(uint8_t *data, size_t length, uint64_t total) {
    size_t blocks = (length + 9 + 63) / 64;
    data[length] = 0x80;
    memset(data + length + 1, 0, blocks * 64 - length - 9);
    store_be64(data + blocks * 64 - 8, total * 8);
    return blocks;
}

#define ROTATE(x, n) ((x) >> (n) | (x) << (32 - (n)))

static void portable_block(uint32_t state[8], const uint8_t *data) {
    uint32_t w[64], s[8];
    for (int t = 0; t < 16; t++, data += 4)
        w[t] = (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3];
    for (int t = 16; t < 64; t++) {
        uint32_t a = w[t - 15], b = w[t - 2];
        w[t] = w[t - 16] + w[t - 7] + (ROTATE(a, 7) ^ ROTATE(a, 18) ^ a >> 3) +
               (ROTATE(b, 17) ^ ROTATE(b, 19) ^ b >> 10);
    }
    memcpy(s, state, sizeof s);
    for (int t = 0; t < 64; t++) {
        uint32_t e = s[4], a = s[0];
        uint32_t one = s[7] + (ROTATE(e, 6) ^ ROTATE(e, 11) ^ ROTATE(e, 25)) +
                       ((e & s[5]) ^ (~e & s[6])) + K[t] + w[t];
        uint32_t two = (ROTATE(a, 2) ^ ROTATE(a, 13) ^ ROTATE(a, 22)) +
                       ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += one;
        s[0] = one + two;
    }
    for (int at = 0; at < 8; at++) state[at] += s[at];
}

static void openssl_block(uint32_t state[8], const uint8_t *data) {
    union { uint32_t h[8]; uint64_t room[32]; } context; /* SHA256_CTX begins with h[8] */
    memset(&context, 0, sizeof context);
    memcpy(context.h, state, 32);
    transform(&context, data);
    memcpy(state, context.h, 32);
}

#ifdef HAVE_SHA_NI
#define TARGET __attribute__((target("sha,sse4.1,ssse3")))
#define LANES 2

/* `lanes` independent messages in step: sha256rnds2 has a latency that one message cannot fill.
 * Always inlined with a constant `lanes`, so the loops over it unroll. */
TARGET static inline __attribute__((always_inline)) void
sha_ni(uint32_t *const state[LANES], const uint8_t *const from[LANES], size_t blocks,
       const int lanes) {
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bULL, 0x0405060700010203ULL);
    const uint8_t *data[LANES];
    __m128i abef[LANES], cdgh[LANES];
    for (int n = 0; n < lanes; n++) {
        data[n] = from[n];
        __m128i low = _mm_loadu_si128((const __m128i *)state[n]);
        __m128i high = _mm_loadu_si128((const __m128i *)(state[n] + 4));
        low = _mm_shuffle_epi32(low, 0xb1);
        high = _mm_shuffle_epi32(high, 0x1b);
        abef[n] = _mm_alignr_epi8(low, high, 8);
        cdgh[n] = _mm_blend_epi16(high, low, 0xf0);
    }
    while (blocks--) {
        __m128i w[LANES][4], abef_0[LANES], cdgh_0[LANES];
        for (int n = 0; n < lanes; n++) {
            abef_0[n] = abef[n];
            cdgh_0[n] = cdgh[n];
            for (int at = 0; at < 4; at++)
                w[n][at] = _mm_shuffle_epi8(
                    _mm_loadu_si128((const __m128i *)(data[n] + at * 16)), swap);
            data[n] += 64;
        }
#pragma GCC unroll 16
        for (int step = 0; step < 16; step++) {
            const __m128i k = _mm_load_si128((const __m128i *)(K + step * 4));
            for (int n = 0; n < lanes; n++) {
                __m128i now = w[n][step & 3];
                __m128i words = _mm_add_epi32(now, k);
                cdgh[n] = _mm_sha256rnds2_epu32(cdgh[n], abef[n], words);
                words = _mm_shuffle_epi32(words, 0x0e);
                abef[n] = _mm_sha256rnds2_epu32(abef[n], cdgh[n], words);
                if (step < 12) {
                    __m128i last = w[n][(step + 3) & 3], next = w[n][(step + 1) & 3];
                    __m128i mixed = _mm_sha256msg1_epu32(now, next);
                    mixed = _mm_add_epi32(mixed, _mm_alignr_epi8(last, w[n][(step + 2) & 3], 4));
                    w[n][step & 3] = _mm_sha256msg2_epu32(mixed, last);
                }
            }
        }
        for (int n = 0; n < lanes; n++) {
            abef[n] = _mm_add_epi32(abef[n], abef_0[n]);
            cdgh[n] = _mm_add_epi32(cdgh[n], cdgh_0[n]);
        }
    }
    for (int n = 0; n < lanes; n++) {
        __m128i low = _mm_shuffle_epi32(abef[n], 0x1b);
        __m128i high = _mm_shuffle_epi32(cdgh[n], 0xb1);
        _mm_storeu_si128((__m128i *)state[n], _mm_blend_epi16(low, high, 0xf0));
        _mm_storeu_si128((__m128i *)(state[n] + 4), _mm_alignr_epi8(high, low, 8));
    }
}

TARGET static void sha_ni_one(uint32_t *state, const uint8_t *data, size_t blocks) {
    uint32_t *const states[LANES] = {state, state};
    const uint8_t *const inputs[LANES] = {data, data};
    sha_ni(states, inputs, blocks, 1);
}

TARGET static void sha_ni_two(uint32_t *one, const uint8_t *one_data, uint32_t *two,
                              const uint8_t *two_data, size_t blocks) {
    uint32_t *const states[LANES] = {one, two};
    const uint8_t *const inputs[LANES] = {one_data, two_data};
    sha_ni(states, inputs, blocks, 2);
}

static int has_sha_ni(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & 1u << 19) || !(c & 1u << 9)) return 0;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & 1u << 29);
}
#else
static int has_sha_ni(void) { return 0; }
#endif

static void sha256_blocks(uint32_t state[8], const uint8_t *data, size_t blocks) {
#ifdef HAVE_SHA_NI
    if (chosen == SHA_NI) {
        sha_ni_one(state, data, blocks);
        return;
    }
#endif
    for (; blocks; blocks--, data += 64) {
        if (chosen == OPENSSL) openssl_block(state, data);
        else portable_block(state, data);
    }
}

static void sha256_blocks_two(uint32_t *one, const uint8_t *one_data, uint32_t *two,
                              const uint8_t *two_data, size_t blocks) {
#ifdef HAVE_SHA_NI
    if (chosen == SHA_NI) {
        sha_ni_two(one, one_data, two, two_data, blocks);
        return;
    }
#endif
    sha256_blocks(one, one_data, blocks);
    sha256_blocks(two, two_data, blocks);
}

/* Use `wanted` (SHA_NI, OPENSSL, PORTABLE) if this machine can; returns what is used. */
int seal_choose(int wanted, openssl_transform from_openssl) {
    transform = from_openssl;
    if (wanted == SHA_NI && has_sha_ni()) chosen = SHA_NI;
    else if (wanted == OPENSSL && transform) chosen = OPENSSL;
    else chosen = PORTABLE;
    return chosen;
}

#endif
