package sqlstore

import (
	"path/filepath"
	"testing"
)

// A killed process loses nothing either way; only the settings say what a power
// cut would lose. They are of a connection, so that one has to look inside.
func TestSQLite_WaitsForTheDisk(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "tokens.db"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "fullfsync": "1", "busy_timeout": "10000"} {
		var got string
		if err := s.write.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s of the connection that writes: %q, %v; want %q", pragma, got, err, want)
		}
	}
	if n := s.write.Stats().MaxOpenConnections; n != 1 {
		t.Errorf("%d connections may write; want 1", n)
	}
	if _, err := s.read.ExecContext(t.Context(), `DELETE FROM countermark_records`); err == nil {
		t.Error("a connection that reads can write")
	}
}
