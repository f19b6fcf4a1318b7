package stat

import "time"

// Sample is what one look at a server saw. Pointers are nil where the server, or
// this machine, does not tell. The names in JSON carry the units and stay as they
// are; docs/stat.md explains them.
type Sample struct {
	Time  time.Time `json:"time"`
	Store string    `json:"store"` // its address, without the password
	Up    bool      `json:"up"`    // it has answered
	Error string    `json:"error,omitempty"`

	Server        string `json:"server"`
	Role          string `json:"role"`
	UptimeSeconds int64  `json:"uptime_seconds"`
	Loading       bool   `json:"loading"`

	OpsPerSecond     float64  `json:"ops_per_second"`
	ReadsPerSecond   *float64 `json:"reads_per_second"`
	WritesPerSecond  *float64 `json:"writes_per_second"`
	RefusedPerSecond *float64 `json:"refused_per_second"`
	RefusesWrites    bool     `json:"refuses_writes"`
	RefusesBecause   string   `json:"refuses_because,omitempty"`

	Clients        int64 `json:"clients"`
	MaxClients     int64 `json:"max_clients"`
	BlockedClients int64 `json:"blocked_clients"`

	MemoryBytes      int64 `json:"memory_bytes"`
	MemoryPeakBytes  int64 `json:"memory_peak_bytes"`
	MemoryLimitBytes int64 `json:"memory_limit_bytes"` // 0 is none

	Keys             int64    `json:"keys"`
	KeysWithTTL      int64    `json:"keys_with_ttl"`
	ExpiredPerSecond *float64 `json:"expired_per_second"`
	EvictedPerSecond *float64 `json:"evicted_per_second"`

	AOFEnabled          bool     `json:"aof_enabled"`
	AOFSync             string   `json:"aof_fsync,omitempty"` // appendfsync
	AOFBytes            int64    `json:"aof_bytes"`
	AOFBaseBytes        int64    `json:"aof_base_bytes"`
	AOFGrowthBytes      int64    `json:"aof_growth_bytes"`
	AOFGrowthPercent    *float64 `json:"aof_growth_percent"`
	AOFGrowthPerSecond  *float64 `json:"aof_growth_bytes_per_second"`
	AOFBufferBytes      int64    `json:"aof_buffer_bytes"`
	AOFWriteOK          bool     `json:"aof_write_ok"`
	SyncPending         bool     `json:"sync_pending"`
	SyncsDelayed        int64    `json:"syncs_delayed"`
	SyncsDelayedLately  *int64   `json:"syncs_delayed_since_last"`
	RewriteAtBytes      *int64   `json:"rewrite_at_bytes"`
	RewriteInSeconds    *float64 `json:"rewrite_in_seconds"`
	RewriteRunning      bool     `json:"rewrite_running"`
	RewriteScheduled    bool     `json:"rewrite_scheduled"`
	RewriteForSeconds   int64    `json:"rewrite_running_seconds"` // -1 when none runs
	RewriteLastOK       bool     `json:"rewrite_last_ok"`
	RewriteLastSeconds  int64    `json:"rewrite_last_seconds"` // -1 before the first
	Rewrites            int64    `json:"rewrites"`
	RewriteFailures     int64    `json:"rewrite_failures_in_a_row"`
	ProgressPercent     *float64 `json:"progress_percent"` // of the rewrite or save that runs
	SaveRunning         bool     `json:"save_running"`
	SaveForSeconds      int64    `json:"save_running_seconds"` // -1 when none runs
	SaveLastOK          bool     `json:"save_last_ok"`
	SaveLastAgoSeconds  float64  `json:"save_last_ago_seconds"`
	SaveLastSeconds     int64    `json:"save_last_seconds"` // -1 before the first
	Saves               int64    `json:"saves"`
	ChangesSinceSave    int64    `json:"changes_since_save"`
	SavePoints          *string  `json:"save_points"` // as redis.conf has them, "" for none
	Replicas            int64    `json:"replicas"`
	Master              string   `json:"master,omitempty"` // whose replica it is
	MasterLinkUp        *bool    `json:"master_link_up,omitempty"`
	MasterLastIOSeconds *int64   `json:"master_last_io_seconds,omitempty"`

	Archive *Archive `json:"archive"` // nil where none is looked at
	Disk    *Disk    `json:"disk"`    // nil where the directory is not known here
}

// Archive is how an archive of the store fares.
type Archive struct {
	LagSeconds   *float64 `json:"lag_seconds"` // nil before the first answer
	WaitingBytes int64    `json:"waiting_bytes"`
	Stopped      bool     `json:"stopped"`
	Trouble      string   `json:"trouble,omitempty"`
	AskedSeconds float64  `json:"asked_seconds_ago"`
}

// Disk is the room where the files lie.
type Disk struct {
	Dir        string `json:"dir"`
	FreeBytes  int64  `json:"free_bytes"`
	TotalBytes int64  `json:"total_bytes"`
	// NeedBytes is what a rewrite may take at once, as limpet doctor counts it: a
	// new base beside the old one, the log's growth meanwhile, and 64 MiB.
	NeedBytes int64 `json:"need_bytes"`
}

// Low tells whether there is too little room for a rewrite.
func (d *Disk) Low() bool { return d.FreeBytes < d.NeedBytes }
