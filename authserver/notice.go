package authserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/countermark/countermark/internal/strictjson"
)

const (
	// maxNotices is how many there may be for a person in noticeLifetime; those
	// beyond it say nothing new.
	maxNotices     = 8
	noticeLifetime = 90 * 24 * time.Hour
)

// A notice is that a refresh token of a person's grant was used twice, for them to
// see when they sign in next.
type notice struct {
	Client string `json:"client"` // by the name that people know
	Time   int64  `json:"time"`   // Unix seconds
}

// page returns the notice as people read it.
func (n *notice) page() PageNotice {
	return PageNotice{Client: n.Client, When: time.Unix(n.Time, 0).UTC().Format("2 January 2006, 15:04 UTC")}
}

// noticeKey is the key of one of a person's notices, of which each has a place in
// its period.
func (s *Server) noticeKey(subject string, at time.Time, place int) Hash {
	return s.keyOf(fmt.Sprintf("%s\x00%d\x00%d", subject, period(at, noticeLifetime), place))
}

// leaveNotice keeps a notice of a grant for a person in the first place that is
// free, unless one of several requests at once has done so.
func (s *Server) leaveNotice(ctx context.Context, grant, subject string, n *notice) error {
	data, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("notice: %w", err)
	}
	now := s.now()
	record := Record{Grant: grant, Data: data, Expiry: now.Add(noticeLifetime)}
	return s.write(ctx, func() error {
		for place := range maxNotices {
			key := s.noticeKey(subject, now, place)
			if err := s.store.Put(ctx, Notice, key, record); !errors.Is(err, ErrExists) {
				return err
			}
			if there, err := s.store.Get(ctx, Notice, key); err == nil && there.Grant == grant {
				return nil
			}
		}
		return nil
	})
}

// takeNotices returns what a person should know, once.
func (s *Server) takeNotices(ctx context.Context, subject string) ([]PageNotice, error) {
	var notices []PageNotice
	now := s.now()
	for n := range 2 * maxNotices { // of the period before as well
		key := s.noticeKey(subject, now.Add(-noticeLifetime*time.Duration(1-n/maxNotices)), n%maxNotices)
		r, outcome, err := s.store.Consume(ctx, Notice, key, now)
		switch {
		case errors.Is(err, ErrNotFound) || err == nil && outcome != First:
			continue
		case err != nil && len(notices) > 0:
			return notices, nil // which are out of the store; the others are in it
		case err != nil:
			return nil, storeFailed(err)
		}
		var one notice
		if err := strictjson.Unmarshal(r.Data, &one); err != nil {
			return nil, fmt.Errorf("record of a notice: %w", err)
		}
		notices = append(notices, one.page())
	}
	return notices, nil
}

// afterSignIn sends the browser on to what the person signed in for, by way of the
// notices that wait for them.
func (s *Server) afterSignIn(w http.ResponseWriter, r *http.Request, ar *authorizationRequest, subject string) {
	notices, err := s.takeNotices(r.Context(), subject)
	switch {
	case err != nil:
		s.writeErrorPage(w, r, ar.client, err)
	case len(notices) == 0:
		seeOther(w, s.resumeURL(ar))
	default:
		s.pages.write(w, http.StatusOK, &Page{
			name: "notice.html", forms: "'none'", Title: "Before you go on", Notices: notices, Next: s.resumeURL(ar),
		})
	}
}
