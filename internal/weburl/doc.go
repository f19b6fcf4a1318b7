// Package weburl names sites and pages, so that one page has one name.
//
// A Seed names a site: a domain and everything below it. A normalised URL
// names a page; Normalize makes one from an absolute reference and a Resolver
// from any reference found on a page. An ID is the short, fixed-length name
// under which a page is counted.
//
// Three things hold for every normalised URL:
//
//  1. It has the form scheme://host[:port]/path[?query], scheme http or https,
//     all bytes printable ASCII, at most MaxLen of them.
//  2. Normalising it again changes nothing.
//  3. It holds no secret: references with a user name or password are refused.
//
// The rules are those of RFC 3986 section 6.2.2 and 6.2.3:
//
//	scheme and host in lower case       HTTP://Example.COM/  http://example.com/
//	host as IDNA A-labels, no last dot  http://bücher.de./   http://xn--bcher-kva.de/
//	IPv4 in dotted form                 http://0x7f.1/       http://127.0.0.1/
//	default and empty ports dropped     http://a.com:80/     http://a.com/
//	no empty path                       http://a.com?q       http://a.com/?q
//	dot segments removed                http://a.com/b/../c  http://a.com/c
//	unreserved bytes decoded            /%7Euser             /~user
//	escapes in upper case               /%c3%a9              /%C3%A9
//	illegal bytes escaped               /a b|c%              /a%20b%7Cc%25
//	fragment dropped                    /a#b                 /a
//	query kept in its order             ?b=1&a=2             ?b=1&a=2
//	a lone question mark dropped        /a?                  /a
//
// Where pages in the wild break the RFC, links are read as browsers read them
// (https://url.spec.whatwg.org): surrounding spaces and control characters are
// cut, tabs and line ends inside a reference are ignored, and a backslash
// before the query is a slash. Queries are always escaped as UTF-8, whatever
// the page's own charset.
package weburl
