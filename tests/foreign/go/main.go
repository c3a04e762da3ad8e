// Checks a log of tiles in a folder with golang.org/x/mod, which the Go project
// wrote for its own checksum database.
//
//	verify [-old FILE] [-witness FILE] LOG KEY
package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const tileHeight = 8 // 256 hashes in a full tile

// tiles reads from a folder, and keeps what it has read and found to be right.
type tiles struct {
	folder string
	saved  map[tlog.Tile][]byte
}

func (t tiles) Height() int { return tileHeight }

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	found := make([][]byte, len(wanted))
	for i, tile := range wanted {
		if saved, ok := t.saved[tile]; ok {
			found[i] = saved
			continue
		}
		data, err := t.read(tile)
		if err != nil {
			return nil, err
		}
		if len(data) < tile.W*tlog.HashSize {
			return nil, fmt.Errorf("%s is short", path(tile))
		}
		found[i] = data[:tile.W*tlog.HashSize]
	}
	return found, nil
}

func (t tiles) SaveTiles(read []tlog.Tile, data [][]byte) {
	for i, tile := range read {
		t.saved[tile] = data[i]
	}
}

// read returns a tile or bundle, which may be wider if the partial one is gone.
func (t tiles) read(tile tlog.Tile) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(t.folder, path(tile)))
	if os.IsNotExist(err) {
		tile.W = 1 << tileHeight
		data, err = os.ReadFile(filepath.Join(t.folder, path(tile)))
	}
	return data, err
}

// path is Go's own but for two things: no height in it, and "entries" for "data".
func path(tile tlog.Tile) string {
	short := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
	return strings.Replace(short, "tile/data/", "tile/entries/", 1)
}

// entries returns the entries of one bundle, each after its length in two bytes.
func (t tiles) entries(index, size int64) ([][]byte, error) {
	width := min(size-index<<tileHeight, 1<<tileHeight)
	data, err := t.read(tlog.Tile{H: tileHeight, L: -1, N: index, W: int(width)})
	if err != nil {
		return nil, err
	}
	var found [][]byte
	for range width {
		if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
			return nil, fmt.Errorf("bundle %d is short", index)
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		found, data = append(found, data[2:end]), data[end:]
	}
	return found, nil
}

// openCheckpoint checks the signatures of all known keys, at least one of them.
func openCheckpoint(file string, known ...note.Verifier) (tlog.Tree, error) {
	var tree tlog.Tree
	data, err := os.ReadFile(file)
	if err != nil {
		return tree, err
	}
	opened, err := note.Open(data, note.VerifierList(known...))
	if err != nil {
		return tree, err
	}
	if len(opened.Sigs) != len(known) {
		return tree, fmt.Errorf("%d of %d keys have signed", len(opened.Sigs), len(known))
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != known[0].Name() {
		return tree, fmt.Errorf("%s is no checkpoint of %s", file, known[0].Name())
	}
	if tree.N, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return tree, err
	}
	tree.Hash, err = tlog.ParseHash(lines[2])
	return tree, err
}

// witness checks cosignatures, which Go's package leaves to its callers.
type witness struct {
	name string
	id   uint32
	key  ed25519.PublicKey
}

func (w witness) Name() string    { return w.name }
func (w witness) KeyHash() uint32 { return w.id }

func (w witness) Verify(text, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	seconds := binary.BigEndian.Uint64(signature)
	signed := fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", seconds, text)
	return ed25519.Verify(w.key, signed, signature[8:])
}

func parseWitness(vkey string) (witness, error) {
	parts := strings.SplitN(vkey, "+", 3)
	if len(parts) != 3 {
		return witness{}, fmt.Errorf("%q is no verifier key", vkey)
	}
	id, err := strconv.ParseUint(parts[1], 16, 32)
	if err != nil {
		return witness{}, err
	}
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil || len(key) != 1+ed25519.PublicKeySize || key[0] != 4 {
		return witness{}, fmt.Errorf("%q is no Ed25519 cosigner", vkey)
	}
	return witness{parts[0], uint32(id), key[1:]}, nil
}

// readKey returns the first line: a log's Ed25519 key stands before its others.
func readKey(file string) (string, error) {
	data, err := os.ReadFile(file)
	line, _, _ := strings.Cut(string(data), "\n")
	return line, err
}

// verify proves and checks all entries, and that the log grew from the old one.
func verify(folder, keyFile, oldFile, witnessFile string) (tlog.Tree, error) {
	var tree tlog.Tree
	vkey, err := readKey(keyFile)
	if err != nil {
		return tree, err
	}
	logKey, err := note.NewVerifier(vkey)
	if err != nil {
		return tree, err
	}
	known := []note.Verifier{logKey}
	if witnessFile != "" {
		vkey, err := readKey(witnessFile)
		if err != nil {
			return tree, err
		}
		cosigner, err := parseWitness(vkey)
		if err != nil {
			return tree, err
		}
		known = append(known, cosigner)
	}
	tree, err = openCheckpoint(filepath.Join(folder, "checkpoint"), known...)
	if err != nil {
		return tree, err
	}
	source := tiles{folder, map[tlog.Tile][]byte{}}
	hashes := tlog.TileHashReader(tree, source)
	for start := int64(0); start < tree.N; start += 1 << tileHeight {
		entries, err := source.entries(start>>tileHeight, tree.N)
		if err != nil {
			return tree, err
		}
		for i, entry := range entries {
			index, leaf := start+int64(i), tlog.RecordHash(entry)
			proof, err := tlog.ProveRecord(tree.N, index, hashes)
			if err != nil {
				return tree, err
			}
			if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, leaf); err != nil {
				return tree, fmt.Errorf("entry %d: %w", index, err)
			}
		}
	}
	if oldFile == "" {
		return tree, nil
	}
	old, err := openCheckpoint(oldFile, logKey)
	if err != nil {
		return tree, err
	}
	growth, err := tlog.ProveTree(tree.N, old.N, hashes)
	if err != nil {
		return tree, err
	}
	return tree, tlog.CheckTree(growth, tree.N, tree.Hash, old.N, old.Hash)
}

func main() {
	log.SetFlags(0)
	old := flag.String("old", "", "an earlier checkpoint, which the log must extend")
	witness := flag.String("witness", "", "the verifier key of a witness that must have signed")
	flag.Parse()
	if flag.NArg() != 2 {
		log.Fatal("usage: verify [-old FILE] [-witness FILE] LOG KEY")
	}
	tree, err := verify(flag.Arg(0), flag.Arg(1), *old, *witness)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("ok: %d entries under %s\n", tree.N, tree.Hash)
}
