package command

// Session is what the server remembers of one connection. It belongs to the
// unit that runs its requests; whoever reads it elsewhere holds the engine's
// lock.
type Session struct {
	ID       int64
	Addr     string // the peer's address
	Local    string // ours
	Name     string // CLIENT SETNAME
	LibName  string // CLIENT SETINFO
	LibVer   string
	Proto    int // RESP version, 2 or 3
	DB       int // number of the selected database
	Authed   bool
	Closing  bool   // close once the replies so far are sent
	LastName string // last command, for CLIENT LIST
	Created  int64  // Unix ms
	LastSeen int64  // Unix ms

	tx transaction
}

// transaction is a session's MULTI state and what it watches.
type transaction struct {
	open    bool
	failed  bool // a request was refused while queueing: EXEC will abort
	queue   [][][]byte
	watched []watchKey
	stale   bool // a watched key was changed: EXEC answers null
}

// InMulti tells whether requests are being queued, and how many are.
func (s *Session) InMulti() (queued int, open bool) { return len(s.tx.queue), s.tx.open }

// Watching is the number of keys that the session watches.
func (s *Session) Watching() int { return len(s.tx.watched) }

// NewSession is a session as a connection finds it: RESP2, database 0. authed
// says that no password is asked for.
func NewSession(id int64, addr, local string, authed bool, nowMs int64) *Session {
	return &Session{ID: id, Addr: addr, Local: local, Proto: 2, Authed: authed, Created: nowMs, LastSeen: nowMs}
}

// reset is RESET: the session is as new, its connection stays.
func (s *Session) reset(authed bool) {
	s.Name, s.Proto, s.DB, s.Authed = "", 2, 0, authed
}

type watchKey struct {
	db  int
	key string
}

// watchers knows which sessions watch which key.
type watchers map[watchKey]map[*Session]struct{}

func (w watchers) add(s *Session, k watchKey) {
	if _, dup := w[k][s]; dup {
		return
	}
	if w[k] == nil {
		w[k] = map[*Session]struct{}{}
	}
	w[k][s] = struct{}{}
	s.tx.watched = append(s.tx.watched, k)
}

func (w watchers) drop(s *Session) {
	for _, k := range s.tx.watched {
		delete(w[k], s)
		if len(w[k]) == 0 {
			delete(w, k)
		}
	}
	s.tx.watched, s.tx.stale = nil, false
}

// touched marks every session that watches the key.
func (w watchers) touched(db int, key []byte) {
	for s := range w[watchKey{db, string(key)}] {
		s.tx.stale = true
	}
}

// flushed marks every session that watches a key of the database; db < 0 means
// all databases. A key that does not exist is not changed by a flush.
func (w watchers) flushed(db int, exists func(k watchKey) bool) {
	for k, sessions := range w {
		if db >= 0 && k.db != db || !exists(k) {
			continue
		}
		for s := range sessions {
			s.tx.stale = true
		}
	}
}
