package main

import (
	"context"
	"errors"
	"os"

	"limpet/internal/sealed"
	"limpet/internal/target"
)

// keyFlags say how what leaves the machine is encrypted.
type keyFlags struct {
	Recipients     string `env:"LIMPET_RECIPIENTS" type:"path" placeholder:"FILE" help:"Encrypt for the public keys in this file (age1…, one a line). Whoever restores needs a private one."`
	Identities     string `env:"LIMPET_IDENTITIES" type:"path" placeholder:"FILE" help:"File of private keys as age-keygen writes it, to read what is encrypted."`
	PassphraseFile string `name:"passphrase-file" env:"LIMPET_PASSPHRASE_FILE" type:"path" placeholder:"FILE" help:"Encrypt and read with the passphrase in this file."`
}

// keys reads them. create makes the key pair of a passphrase where the target
// has none yet.
func (k *keyFlags) keys(ctx context.Context, store *target.Store, create bool) (keys sealed.Keys, err error) {
	read := func(flag, path string, parse func(text string) (sealed.Keys, error)) error {
		if path == "" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return failf(exitLocal, "%s %s: %s", flag, path, reason(err))
		}
		more, err := parse(string(text))
		switch {
		case errors.Is(err, sealed.ErrWrongKey):
			return failf(exitLocal, "%s %s: not the passphrase of %s", flag, path, store)
		case err != nil:
			return failf(exitUsage, "%s %s: %s", flag, path, err)
		}
		keys.Recipients = append(keys.Recipients, more.Recipients...)
		keys.Identities = append(keys.Identities, more.Identities...)
		return nil
	}
	return keys, errors.Join(
		read("--recipients", k.Recipients, sealed.ParseRecipients),
		read("--identities", k.Identities, sealed.ParseIdentities),
		read("--passphrase-file", k.PassphraseFile, func(text string) (sealed.Keys, error) {
			return sealed.Passphrase(ctx, store, text, create)
		}),
	)
}
