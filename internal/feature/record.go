package feature

import "time"

// Version is the schema version that Extract writes.
const Version = 1

// Limits on what a record holds, so that no page can make it large. Counts
// beside a capped list are exact.
const (
	MaxHops    = 20
	MaxCookies = 30
	MaxNames   = 50 // certificate names
	MaxHosts   = 50 // external hosts
	MaxForms   = 20
	MaxFields  = 30  // a form
	MaxText    = 300 // bytes of a header, title, description or name
)

// Record is one page's features. docs/features.md says what each field means.
type Record struct {
	V           int       `json:"v"`
	ID          string    `json:"id"`
	Seed        string    `json:"seed,omitempty"`
	Depth       int       `json:"depth"`
	RequestedAt time.Time `json:"requested_at,omitzero"`
	URL         URL       `json:"url"`
	HTTP        HTTP      `json:"http"`
	TLS         *TLS      `json:"tls,omitempty"`
	HTML        *HTML     `json:"html,omitempty"`
	Forms       *Forms    `json:"forms,omitempty"`
	Links       *Links    `json:"links,omitempty"`
	Text        *Text     `json:"text,omitempty"`
	Favicon     *Favicon  `json:"favicon,omitempty"`
}

// URL describes the page's address, the text alone.
type URL struct {
	Href         string  `json:"href"`
	Scheme       string  `json:"scheme"`
	Host         string  `json:"host"`
	Port         int     `json:"port"`
	Length       int     `json:"length"`
	HostLength   int     `json:"host_length"`
	PathLength   int     `json:"path_length"`
	QueryLength  int     `json:"query_length"`
	PathDepth    int     `json:"path_depth"`
	QueryParams  int     `json:"query_params"`
	Digits       int     `json:"digits"`
	Hyphens      int     `json:"hyphens"`
	Dots         int     `json:"dots"`
	Underscores  int     `json:"underscores"`
	Escapes      int     `json:"escapes"`
	Special      int     `json:"special"`
	Entropy      float64 `json:"entropy"`
	HostEntropy  float64 `json:"host_entropy"`
	LongestToken int     `json:"longest_token"`
	Extension    string  `json:"extension,omitempty"`
	IPHost       bool    `json:"ip_host"`
	Punycode     bool    `json:"punycode"`
	Registrable  string  `json:"registrable,omitempty"`
	Suffix       string  `json:"suffix,omitempty"`
	Subdomains   int     `json:"subdomains"`
}

// HTTP describes the exchange that brought the page.
type HTTP struct {
	Status          int      `json:"status"`
	Final           string   `json:"final,omitempty"`
	HopCount        int      `json:"hop_count"`
	Hops            []HopRec `json:"hops,omitempty"`
	Protocol        string   `json:"protocol,omitempty"`
	RemoteIP        string   `json:"remote_ip,omitempty"`
	Type            string   `json:"type,omitempty"`
	Charset         string   `json:"charset,omitempty"`
	Encoding        string   `json:"encoding,omitempty"`
	Size            int      `json:"size"`
	RawSize         int64    `json:"raw_size"`
	Truncated       bool     `json:"truncated"`
	HeaderCount     int      `json:"header_count"`
	Server          string   `json:"server,omitempty"`
	PoweredBy       string   `json:"powered_by,omitempty"`
	Via             string   `json:"via,omitempty"`
	CacheControl    string   `json:"cache_control,omitempty"`
	LastModified    string   `json:"last_modified,omitempty"`
	ETag            string   `json:"etag,omitempty"`
	ContentLanguage string   `json:"content_language,omitempty"`
	RobotsTag       string   `json:"robots_tag,omitempty"`
	Security        Security `json:"security"`
	Cookies         Cookies  `json:"cookies"`
	Timings         Millis   `json:"timings"`
}

// HopRec is one redirect on the way to the page.
type HopRec struct {
	URL      string `json:"url"`
	Status   int    `json:"status"`
	Location string `json:"location,omitempty"`
}

// Security holds the security headers as sent; an empty one was not.
type Security struct {
	HSTS               string `json:"hsts,omitempty"`
	CSP                string `json:"csp,omitempty"`
	CSPReportOnly      string `json:"csp_report_only,omitempty"`
	FrameOptions       string `json:"frame_options,omitempty"`
	ContentTypeOptions string `json:"content_type_options,omitempty"`
	ReferrerPolicy     string `json:"referrer_policy,omitempty"`
	PermissionsPolicy  string `json:"permissions_policy,omitempty"`
	COOP               string `json:"coop,omitempty"`
	COEP               string `json:"coep,omitempty"`
	CORP               string `json:"corp,omitempty"`
	CORS               string `json:"cors,omitempty"`
}

// Cookies counts what Set-Cookie asked for. Values are never kept.
type Cookies struct {
	Count      int      `json:"count"`
	Names      []string `json:"names,omitempty"`
	Secure     int      `json:"secure"`
	HTTPOnly   int      `json:"http_only"`
	Persistent int      `json:"persistent"`
	Lax        int      `json:"lax"`
	Strict     int      `json:"strict"`
	None       int      `json:"none"`
}

// Millis are the Input's Timings in milliseconds.
type Millis struct {
	DNS     float64 `json:"dns_ms"`
	Connect float64 `json:"connect_ms"`
	TLS     float64 `json:"tls_ms"`
	TTFB    float64 `json:"ttfb_ms"`
	Total   float64 `json:"total_ms"`
}

// TLS describes the connection and the certificate the server showed.
type TLS struct {
	Version     string    `json:"version"`
	Cipher      string    `json:"cipher"`
	ALPN        string    `json:"alpn,omitempty"`
	ChainLength int       `json:"chain_length"`
	Subject     string    `json:"subject,omitempty"`
	Issuer      string    `json:"issuer,omitempty"`
	NameCount   int       `json:"name_count"`
	Names       []string  `json:"names,omitempty"`
	Wildcard    bool      `json:"wildcard"`
	NotBefore   time.Time `json:"not_before,omitzero"`
	NotAfter    time.Time `json:"not_after,omitzero"`
	ValidDays   int       `json:"valid_days"`
	DaysLeft    int       `json:"days_left"`
	Expired     bool      `json:"expired"`
	SelfSigned  bool      `json:"self_signed"`
	HostMatch   bool      `json:"host_match"`
	VerifyError string    `json:"verify_error,omitempty"`
	KeyType     string    `json:"key_type,omitempty"`
	Signature   string    `json:"signature,omitempty"`
	Fingerprint string    `json:"fingerprint,omitempty"`
}

// HTML describes the document.
type HTML struct {
	Title          string  `json:"title,omitempty"`
	TitleLength    int     `json:"title_length"`
	Lang           string  `json:"lang,omitempty"`
	Description    string  `json:"description,omitempty"`
	Generator      string  `json:"generator,omitempty"`
	Viewport       string  `json:"viewport,omitempty"`
	Robots         string  `json:"robots,omitempty"`
	Refresh        string  `json:"refresh,omitempty"`
	Canonical      string  `json:"canonical,omitempty"`
	Base           string  `json:"base,omitempty"`
	Elements       int     `json:"elements"`
	MaxDepth       int     `json:"max_depth"`
	Comments       int     `json:"comments"`
	ScriptsInline  int     `json:"scripts_inline"`
	Scripts        int     `json:"scripts_external"`
	ScriptsForeign int     `json:"scripts_foreign"`
	Iframes        int     `json:"iframes"`
	IframesForeign int     `json:"iframes_foreign"`
	Images         int     `json:"images"`
	Stylesheets    int     `json:"stylesheets"`
	StylesInline   int     `json:"styles_inline"`
	TextShare      float64 `json:"text_share"`
}

// Forms describes where the page lets a person type.
type Forms struct {
	Count    int    `json:"count"`
	Items    []Form `json:"items,omitempty"`
	Password int    `json:"password"`
	Foreign  int    `json:"foreign"`
	Insecure int    `json:"insecure"`
	Outside  int    `json:"fields_outside"`
}

// Form is one form.
type Form struct {
	Action     string  `json:"action,omitempty"`
	Method     string  `json:"method"`
	FieldCount int     `json:"field_count"`
	Fields     []Field `json:"fields,omitempty"`
	Hidden     int     `json:"hidden"`
	Password   bool    `json:"password"`
	Upload     bool    `json:"upload"`
	Foreign    bool    `json:"foreign"`
	Insecure   bool    `json:"insecure"`
}

// Field is one control of a form, buttons aside.
type Field struct {
	Name string `json:"name,omitempty"`
	Type string `json:"type"`
}

// Links counts the page's hyperlinks.
type Links struct {
	Total      int      `json:"total"`
	Internal   int      `json:"internal"`
	External   int      `json:"external"`
	Fragment   int      `json:"fragment"`
	Mailto     int      `json:"mailto"`
	Tel        int      `json:"tel"`
	Javascript int      `json:"javascript"`
	Other      int      `json:"other"`
	Invalid    int      `json:"invalid"`
	Nofollow   int      `json:"nofollow"`
	Download   int      `json:"download"`
	Discovered int      `json:"discovered"`
	HostCount  int      `json:"host_count"`
	Hosts      []string `json:"hosts,omitempty"`
}

// Text describes what a reader reads.
type Text struct {
	Words      int    `json:"words"`
	Characters int    `json:"characters"`
	SimHash    string `json:"simhash"`
	SHA256     string `json:"sha256"`
}

// Favicon names the page's icon. The hashes are there once Fill has seen it.
type Favicon struct {
	URL      string `json:"url"`
	Declared bool   `json:"declared"`
	SHA256   string `json:"sha256,omitempty"`
	MMH3     *int32 `json:"mmh3,omitempty"`
}
