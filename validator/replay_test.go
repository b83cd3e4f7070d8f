package validator

import (
	"context"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// numbered is a hash like no other number's, spread over the shards.
func numbered(n int) (hash [32]byte) {
	hash[0] = byte(n)
	binary.BigEndian.PutUint64(hash[8:], uint64(n))
	return hash
}

func added(t *testing.T, m *memoryReplay, n int) bool {
	t.Helper()
	fresh, err := m.Add(t.Context(), numbered(n), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return fresh
}

// The memory of a Validator is as long as any of its proofs may pass, and longer.
func TestMemoryReplay_IsAsLongAsItsValidatorNeeds(t *testing.T) {
	t.Parallel()
	for _, cfg := range []Config{
		{}, {Leeway: -1}, {Leeway: 5 * time.Minute}, {ProofAge: time.Hour}, {ProofAge: time.Second, Leeway: -1}, {ProofAge: time.Hour, Leeway: 5 * time.Minute},
	} {
		cfg.Issuer, cfg.Audiences, cfg.Introspector = "https://issuer.example", []string{"https://api.example.com"}, Introspector(nobody{})
		v, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		life := v.cfg.Replay.(*memoryReplay).generation * (replayGenerations - 1)
		if least := max(v.cfg.ProofAge+2*v.cfg.Leeway, 2*time.Minute) + time.Minute; life < least { // 2 minutes, for a nonce
			t.Errorf("ProofAge %v, Leeway %v: remembered for %v, want %v", v.cfg.ProofAge, v.cfg.Leeway, life, least)
		}
	}
}

// nobody is an Introspector that is never asked.
type nobody struct{}

func (nobody) Introspect(context.Context, string, bool) ([]byte, error) { return nil, nil }

// Whenever it came, and whatever comes meanwhile: as long as it may live, a hash
// is known.
func TestMemoryReplay_NeverForgetsALiveHash(t *testing.T) {
	t.Parallel()
	const life = 100 * time.Second
	for _, start := range []time.Duration{0, time.Millisecond, 24 * time.Second, 25 * time.Second, 49*time.Second + 999*time.Millisecond, 99 * time.Second} {
		for _, step := range []time.Duration{life, life / 2, 24 * time.Second, 25 * time.Second, 26 * time.Second, time.Second} {
			synctest.Test(t, func(t *testing.T) {
				m := newMemoryReplay(life)
				if !added(t, m, 0) { // which begins the first generation
					t.Fatal("not fresh")
				}
				time.Sleep(start)
				if !added(t, m, 16) {
					t.Fatal("not fresh")
				}
				for waited := step; waited <= life; waited += step {
					time.Sleep(step)
					added(t, m, 32+16*int(waited)) // of the same shard
					if added(t, m, 16) {
						t.Fatalf("begun %v before, looked at every %v: forgotten after %v", start, step, waited)
					}
				}
			})
		}
	}
}

// What is too old is forgotten, so that the memory does not fill for good.
func TestMemoryReplay_ForgetsWhatIsTooOld(t *testing.T) {
	t.Parallel()
	for _, steps := range []int{1, 2, 3, 10, 100} {
		synctest.Test(t, func(t *testing.T) {
			const life = 100 * time.Second
			m := newMemoryReplay(life)
			added(t, m, 0)
			for i := range steps {
				time.Sleep((life + life/(replayGenerations-1) + time.Second) / time.Duration(steps))
				added(t, m, 16*(i+1))
			}
			if !added(t, m, 0) {
				t.Errorf("still known after a life and a generation, in %d steps", steps)
			}
		})
	}
}

// Full, it refuses: nothing live makes room. Later there is room again.
func TestMemoryReplay_Full(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMemoryReplay(time.Minute)
		var in []int // of one shard, one more than it takes
		other := 0
		for n := 0; len(in) <= replaysAShard; n++ {
			if m.shard(numbered(n)) == &m.shards[0] {
				in = append(in, n)
			} else {
				other = n
			}
		}
		for i, n := range in[:replaysAShard] {
			if !added(t, m, n) {
				t.Fatalf("%d is not fresh", n)
			}
			if i == replaysAShard/2 {
				time.Sleep(20 * time.Second) // another generation, and still all are live
			}
		}
		full := numbered(in[replaysAShard])
		if fresh, err := m.Add(t.Context(), full, time.Time{}); fresh || err == nil {
			t.Fatalf("one too many: fresh %v, error %v", fresh, err)
		}
		for _, i := range []int{0, 1, replaysAShard / 2, replaysAShard - 1} {
			if added(t, m, in[i]) {
				t.Errorf("%d was forgotten", in[i])
			}
		}
		if !added(t, m, other) {
			t.Error("another shard is full too")
		}
		time.Sleep(70 * time.Second)
		if fresh, err := m.Add(t.Context(), full, time.Time{}); !fresh || err != nil {
			t.Errorf("a life later: fresh %v, error %v", fresh, err)
		}
	})
}

// A client that picks its proofs by their hashes still fills every shard alike.
func TestMemoryReplay_NobodyChoosesTheShard(t *testing.T) {
	t.Parallel()
	m := newMemoryReplay(time.Minute)
	shards := map[*replayShard]bool{}
	for n := range 1000 {
		hash := numbered(n)
		hash[0] = 0
		shards[m.shard(hash)] = true
	}
	if len(shards) != replayShards {
		t.Errorf("in %d shards", len(shards))
	}
}

// All at once, and across generations: each hash is fresh to one alone.
func TestMemoryReplay_OneOf64AtOnce(t *testing.T) {
	t.Parallel()
	const hashes = 200
	m := newMemoryReplay(time.Hour)
	var fresh [hashes]atomic.Int32
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range 64 {
		wg.Go(func() {
			<-start
			for n := range hashes {
				if ok, err := m.Add(t.Context(), numbered(n), time.Time{}); err == nil && ok {
					fresh[n].Add(1)
				}
			}
		})
	}
	close(start)
	wg.Wait()
	for n := range fresh {
		if got := fresh[n].Load(); got != 1 {
			t.Errorf("%d was fresh to %d", n, got)
		}
	}
}

func BenchmarkMemoryReplay(b *testing.B) {
	m := newMemoryReplay(time.Minute)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		if n++; n%(replayShards*replaysAShard/2) == 0 {
			m = newMemoryReplay(time.Minute)
		}
		if fresh, err := m.Add(b.Context(), numbered(n), time.Time{}); !fresh || err != nil {
			b.Fatal(fresh, err)
		}
	}
}
