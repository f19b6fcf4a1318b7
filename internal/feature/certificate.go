package feature

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"time"

	"limpet/internal/weburl"
)

func describeTLS(in *Input) *TLS {
	state := in.TLS
	if state == nil {
		return nil
	}
	t := &TLS{
		Version:     tls.VersionName(state.Version),
		Cipher:      tls.CipherSuiteName(state.CipherSuite),
		ALPN:        clip(state.NegotiatedProtocol),
		ChainLength: len(state.PeerCertificates),
	}
	if in.TLSVerifyError != nil {
		t.VerifyError = clip(in.TLSVerifyError.Error())
	}
	if len(state.PeerCertificates) > 0 {
		t.describeCertificate(state.PeerCertificates[0], in)
	}
	return t
}

func (t *TLS) describeCertificate(cert *x509.Certificate, in *Input) {
	sum := sha256.Sum256(cert.Raw)
	t.Fingerprint = hex.EncodeToString(sum[:])
	t.Subject = clip(cert.Subject.String())
	t.Issuer = clip(cert.Issuer.String())
	t.Signature = cert.SignatureAlgorithm.String()
	t.KeyType = keyType(cert.PublicKey)
	t.SelfSigned = selfSigned(cert)
	t.HostMatch = cert.VerifyHostname(weburl.Split(in.final()).Host) == nil

	t.NotBefore, t.NotAfter = cert.NotBefore.UTC(), cert.NotAfter.UTC()
	t.ValidDays = days(cert.NotAfter.Sub(cert.NotBefore))
	if !in.RequestedAt.IsZero() {
		t.DaysLeft = days(cert.NotAfter.Sub(in.RequestedAt))
		t.Expired = in.RequestedAt.After(cert.NotAfter)
	}

	t.NameCount = len(cert.DNSNames) + len(cert.IPAddresses)
	for _, name := range cert.DNSNames {
		t.Wildcard = t.Wildcard || strings.HasPrefix(name, "*.")
		t.addName(name)
	}
	for _, ip := range cert.IPAddresses {
		t.addName(ip.String())
	}
}

func (t *TLS) addName(name string) {
	if len(t.Names) < MaxNames {
		t.Names = append(t.Names, clip(name))
	}
}

// selfSigned reports whether the certificate's own key signed it. The check of
// the signature is dear, and made only where the names leave it open.
func selfSigned(cert *x509.Certificate) bool {
	return bytes.Equal(cert.RawSubject, cert.RawIssuer) &&
		cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature) == nil
}

func keyType(key any) string {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return ""
}

// days counts whole days, downwards: one second ago is day -1.
func days(d time.Duration) int {
	return int(math.Floor(d.Hours() / 24))
}
