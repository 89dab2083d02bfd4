package session

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/contract"
)

// People are listed so that an administrator can see all sessions: a store
// only finds what it is asked for. The list is cut into shards, so that people
// who sign in at once seldom write the same one.
const (
	kindPeople   = "people"
	shards       = 64
	maxShard     = 4096 // people of one shard; further ones are not listed
	peopleOfPage = 25
	listedLonger = 10 * time.Minute
)

// Person has no session that lives past Until.
type Person struct {
	Subject string    `json:"sub"`
	Email   string    `json:"email"`
	Until   time.Time `json:"until"`
}

// Listed is a session with whose it is.
type Listed struct {
	Person
	Entry
}

func shardOf(subject string) int {
	sum := sha256.Sum256([]byte(subject))
	return int(sum[0]) % shards
}

func (s *Sessions) shardName(n int) string { return s.Box.Name(kindPeople, strconv.Itoa(n)) }

// list makes sure that a person is among the people. Who is listed for long
// enough is not written again: a user's many logins are one write.
func (s *Sessions) list(ctx context.Context, id contract.Identity, until time.Time) error {
	name := s.shardName(shardOf(id.Subject))
	turn := s.turns.of(name)
	if err := turn.lock(ctx); err != nil {
		return err
	}
	defer turn.unlock()
	return s.swap(ctx, name, s.Ages.Absolute, func(old []byte) ([]byte, error) {
		people := s.openPeople(name, old)
		at := slices.IndexFunc(people, func(p Person) bool { return p.Subject == id.Subject })
		switch {
		case at >= 0 && people[at].Email == id.Email && !people[at].Until.Before(until):
			return old, nil
		case at >= 0:
			people = slices.Delete(people, at, at+1)
		case len(people) >= maxShard:
			s.Log.Warn().Msg("too many people for the administrators' list; this one is not in it")
			return old, nil
		}
		plain, err := json.Marshal(append(people, Person{id.Subject, id.Email, until.Add(listedLonger)}))
		if err != nil {
			return nil, fmt.Errorf("people: %w", err)
		}
		return s.Box.Seal(name, plain), nil
	})
}

// openPeople leaves out those whose last session is past its end.
func (s *Sessions) openPeople(name string, sealed []byte) []Person {
	if sealed == nil {
		return nil
	}
	var people []Person
	plain, err := s.Box.Open(name, sealed)
	if err == nil {
		err = json.Unmarshal(plain, &people)
	}
	if err != nil {
		s.Log.Warn().Err(err).Msg("the list of people does not open (was the store key changed?); it starts anew")
		return nil
	}
	now := s.Now()
	return slices.DeleteFunc(people, func(p Person) bool { return !now.Before(p.Until) })
}

// Found is one page of the people.
type Found struct {
	Sessions []Listed
	People   int // on all pages
	Pages    int
}

// All returns the sessions of one page of the people whose e-mail address or id
// holds the query, in the order of their addresses. Page 1 is the first.
func (s *Sessions) All(ctx context.Context, query string, page int) (found Found, err error) {
	names := make([]string, shards)
	for n := range names {
		names[n] = s.shardName(n)
	}
	sealed, err := s.Store.Get(ctx, names...)
	if err != nil {
		return found, err
	}
	var people []Person
	for n, value := range sealed {
		people = append(people, s.openPeople(names[n], value)...)
	}
	query = strings.ToLower(query)
	people = slices.DeleteFunc(people, func(p Person) bool {
		return !strings.Contains(strings.ToLower(p.Email), query) && !strings.Contains(strings.ToLower(p.Subject), query)
	})
	slices.SortFunc(people, func(a, b Person) int {
		return cmp.Or(cmp.Compare(a.Email, b.Email), cmp.Compare(a.Subject, b.Subject))
	})
	found.People, found.Pages = len(people), max(1, (len(people)+peopleOfPage-1)/peopleOfPage)
	from := (min(max(page, 1), found.Pages) - 1) * peopleOfPage
	for _, p := range people[from:min(from+peopleOfPage, len(people))] {
		entries, err := s.List(ctx, p.Subject)
		if err != nil {
			return found, err
		}
		for _, e := range entries {
			found.Sessions = append(found.Sessions, Listed{p, e})
		}
	}
	return found, nil
}
