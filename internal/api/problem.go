package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"limpet/internal/tracking"
)

// problem is an error as the one who asked gets to see it.
type problem struct {
	code       int
	message    string        // what was expected, and what was found
	hint       string        // what to do about it
	retryAfter time.Duration // whole seconds; 0 does not say
	cause      error         // for the log; nil when the mistake is not ours
}

func (p *problem) Error() string { return p.message }

// refusef says that the request is wrong.
func refusef(code int, format string, args ...any) *problem {
	return &problem{code: code, message: fmt.Sprintf(format, args...)}
}

func badRequest(format string, args ...any) *problem {
	return refusef(http.StatusBadRequest, format, args...)
}

func (p *problem) withHint(hint string) *problem {
	p.hint = hint
	return p
}

// retryAfter is how soon a store that does not work now is worth another try.
const retryAfter = 5 * time.Second

// problemOf finds the answer to an error. What the store or the network said
// goes to the log, not to the one who asked, unless it is the reason.
func problemOf(err error) *problem {
	var p *problem
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, tracking.ErrUnknownSeed):
		return refusef(http.StatusNotFound, "unknown seed").
			withHint(`it was never submitted: POST /api/submit {"domain": "…"}`)
	case errors.Is(err, tracking.ErrCancelled):
		return refusef(http.StatusConflict, "the seed is cancelled").
			withHint(`submit it again with "recrawl": true`)
	case errors.Is(err, tracking.ErrDamaged):
		return &problem{code: http.StatusConflict, message: "keys of the seed are missing from the store", cause: err,
			hint: "POST /api/fcrawler/seed/SEED/audit?repair=true mends it"}
	case errors.Is(err, tracking.ErrStoreRefuses):
		return &problem{code: http.StatusServiceUnavailable, message: "the store refuses writes for now; nothing was changed: " + reasonOf(err),
			hint: "GET /health tells when it accepts them again", retryAfter: retryAfter, cause: err}
	case unreachable(err):
		return &problem{code: http.StatusServiceUnavailable, message: "the store does not answer",
			hint: "GET /health tells when it does again", retryAfter: retryAfter, cause: err}
	}
	return &problem{code: http.StatusInternalServerError, message: "internal error; the log has the details", cause: err}
}

// reasonOf is what the server itself said, without what was put around it, and
// without the place in the script where Redis noticed.
func reasonOf(err error) string {
	var answered redis.Error
	if errors.As(err, &answered) {
		err = answered
	}
	reason, _, _ := strings.Cut(err.Error(), " script: ")
	return reason
}

// unreachable reports whether the error is about getting an answer, not about
// the answer.
func unreachable(err error) bool {
	var network net.Error
	switch {
	case errors.As(err, &network),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe),
		errors.Is(err, redis.ErrClosed), errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return true
	}
	for _, code := range []string{"LOADING", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "BUSY"} {
		if redis.HasErrorPrefix(err, code) {
			return true
		}
	}
	return false
}
