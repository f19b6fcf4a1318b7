package api

import (
	"net/http"
	"strings"

	"limpet/internal/crawl"
	"limpet/internal/tracking"
	"limpet/internal/weburl"
)

// submission is the body of a submit. Limits that are absent are the defaults.
type submission struct {
	Domain   string `json:"domain"`
	URL      string `json:"url"`
	MaxPages *int   `json:"max_pages"`
	MaxDepth *int   `json:"max_depth"`
	Recrawl  bool   `json:"recrawl"`
}

const (
	submitExample = `{"domain": "test.com"}`
	mostPages     = 1_000_000_000
	maxKeyLength  = 255 // bytes of an Idempotency-Key
)

// submit starts a crawl (202), joins the one that runs, or tells that the seed
// is finished (200).
func (a *api) submit(w http.ResponseWriter, r *http.Request) error {
	if err := queryOf(r).err; err != nil {
		return err
	}
	var body submission
	if err := readBody(w, r, &body, submitExample); err != nil {
		return err
	}
	request, err := a.request(body)
	if err != nil {
		return err
	}
	if request.IdempotencyKey, err = idempotencyKey(r); err != nil {
		return err
	}
	s, err := a.Tracker.Submit(r.Context(), request)
	if err != nil {
		return err
	}
	if !s.Status.Finished() {
		a.Notify(s.Seed)
	}
	code, hint := http.StatusOK, ""
	switch {
	case s.Created:
		code = http.StatusAccepted
	case s.Status.Finished():
		hint = `it is ` + string(s.Status) + ` already; "recrawl": true starts anew`
	}
	url := progressPath(s.Seed)
	w.Header().Set("Location", url)
	return writeJSON(w, code, struct {
		success
		Seed        weburl.Seed     `json:"seed"`
		Generation  int64           `json:"generation"`
		Status      tracking.Status `json:"status"`
		Joined      bool            `json:"joined"`
		ProgressURL string          `json:"progress_url"`
		Hint        string          `json:"hint,omitempty"`
		stamp
	}{yes, s.Seed, s.Generation, s.Status, s.Joined, url, hint, now()})
}

// request checks a submission and fills in what it leaves out.
func (a *api) request(body submission) (tracking.SubmitRequest, error) {
	q, err := body.start()
	if err != nil {
		return q, err
	}
	q.MaxPages, q.MaxDepth, q.Recrawl = a.Defaults.MaxPages, a.Defaults.MaxDepth, body.Recrawl
	for _, limit := range []struct {
		name  string
		given *int
		most  int
		into  *int
	}{
		{"max_pages", body.MaxPages, mostPages, &q.MaxPages},
		{"max_depth", body.MaxDepth, tracking.MaxDepth, &q.MaxDepth},
	} {
		if limit.given == nil {
			continue
		}
		if *limit.given < 0 || *limit.given > limit.most {
			return q, badRequest("field %q: want a number from 0 (no limit) to %d, have %d", limit.name, limit.most, *limit.given)
		}
		*limit.into = *limit.given
	}
	return q, nil
}

// start is the request for a domain or for a URL, without limits.
func (body *submission) start() (q tracking.SubmitRequest, err error) {
	switch {
	case body.Domain != "" && body.URL != "":
		return q, badRequest("domain and url are both given: want one of them")
	case body.Domain == "" && body.URL == "":
		return q, badRequest("domain is missing: want JSON like %s", submitExample)
	case body.Domain != "":
		seed, err := weburl.ParseSeed(body.Domain)
		if err != nil {
			return q, badRequest("%v", err)
		}
		return crawl.SubmitDomain(seed), nil
	}
	url, err := weburl.Normalize(body.URL)
	if err != nil {
		return q, badRequest("url %.200q: %v", body.URL, err).withHint("want one like https://example.com/")
	}
	seed, err := weburl.ParseSeed(weburl.Split(url).Host)
	if err != nil {
		return q, badRequest("url %.200q: %v", body.URL, err)
	}
	return crawl.SubmitURL(seed, url), nil
}

// idempotencyKey reads the key under which repetitions of a submit get the first
// one's answer.
func idempotencyKey(r *http.Request) (string, error) {
	values := r.Header.Values("Idempotency-Key")
	if len(values) == 0 {
		return "", nil
	}
	key := values[0]
	plain := func(c rune) bool { return c >= ' ' && c <= '~' }
	if len(values) > 1 || key == "" || len(key) > maxKeyLength || strings.TrimFunc(key, plain) != "" {
		return "", badRequest("header Idempotency-Key: want one of 1 to %d printable ASCII characters", maxKeyLength)
	}
	return key, nil
}
