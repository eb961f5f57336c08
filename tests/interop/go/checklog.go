// Checks a published Sealwright log with Go's own sumdb/note and sumdb/tlog.
//
// usage: checklog CASE.json, where CASE holds dir, vkey, inclusion and consistency.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type inclusion struct {
	Index, Size int64
	Leaf, Root  []byte
	Proof       [][]byte
}

type consistency struct {
	Old, New         int64
	OldRoot, NewRoot []byte
	Proof            [][]byte
}

type testCase struct {
	Dir, Vkey   string
	Inclusion   []inclusion
	Consistency []consistency
}

func hash(b []byte) (h tlog.Hash) {
	if len(b) != tlog.HashSize {
		log.Fatalf("a hash of %d bytes", len(b))
	}
	copy(h[:], b)
	return h
}

func hashes(list [][]byte) (out []tlog.Hash) {
	for _, b := range list {
		out = append(out, hash(b))
	}
	return out
}

type dirTiles struct{ dir string }

func (d dirTiles) Height() int { return 8 }

func (d dirTiles) SaveTiles([]tlog.Tile, [][]byte) {}

func (d dirTiles) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var out [][]byte
	for _, t := range tiles {
		// sumdb says tile/8/L/N, C2SP says tile/L/N
		path := strings.Replace(t.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(d.dir, path))
		if err != nil {
			return nil, err
		}
		out = append(out, data)
	}
	return out, nil
}

func main() {
	raw, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	var c testCase
	if err := json.Unmarshal(raw, &c); err != nil {
		log.Fatal(err)
	}
	tree := openCheckpoint(c)
	reader := tlog.TileHashReader(tree, dirTiles{c.Dir})
	bodies := entries(c.Dir, tree.N)
	for i, body := range bodies {
		proof, err := tlog.ProveRecord(tree.N, int64(i), reader)
		if err != nil {
			log.Fatalf("tiles do not prove entry %d: %v", i, err)
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, int64(i), tlog.RecordHash(body)); err != nil {
			log.Fatalf("entry %d: %v", i, err)
		}
	}
	for _, p := range c.Inclusion {
		err := tlog.CheckRecord(hashes(p.Proof), p.Size, hash(p.Root), p.Index, hash(p.Leaf))
		if err != nil {
			log.Fatalf("inclusion of %d in %d: %v", p.Index, p.Size, err)
		}
	}
	for _, p := range c.Consistency {
		err := tlog.CheckTree(hashes(p.Proof), p.New, hash(p.NewRoot), p.Old, hash(p.OldRoot))
		if err != nil {
			log.Fatalf("consistency of %d with %d: %v", p.Old, p.New, err)
		}
	}
	fmt.Printf("ok %d %d %d\n", len(bodies), len(c.Inclusion), len(c.Consistency))
}

func openCheckpoint(c testCase) tlog.Tree {
	raw, err := os.ReadFile(filepath.Join(c.Dir, "checkpoint"))
	if err != nil {
		log.Fatal(err)
	}
	verifier, err := note.NewVerifier(c.Vkey)
	if err != nil {
		log.Fatalf("vkey: %v", err)
	}
	opened, err := note.Open(raw, note.VerifierList(verifier))
	if err != nil {
		log.Fatalf("checkpoint: %v", err)
	}
	lines := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	root, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || lines[0] != verifier.Name() {
		log.Fatalf("checkpoint text: %q", opened.Text)
	}
	return tlog.Tree{N: size, Hash: hash(root)}
}

func entries(dir string, size int64) (out [][]byte) {
	for n := int64(0); n*256 < size; n++ {
		path := fmt.Sprintf("tile/entries/%03d", n)
		if width := size - n*256; width < 256 {
			path = fmt.Sprintf("%s.p/%d", path, width)
		}
		data, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil {
			log.Fatal(err)
		}
		for len(data) > 0 {
			length := binary.BigEndian.Uint16(data)
			out = append(out, data[2:2+length])
			data = data[2+length:]
		}
	}
	if int64(len(out)) != size {
		log.Fatalf("%d entries in the bundles of a log of %d", len(out), size)
	}
	return out
}
