//go:build !linux && !darwin

package machine

// SpaceOf is not known here.
func SpaceOf(string) (Space, error) { return Space{}, ErrUnknown }

// OwnerOf is not known here.
func OwnerOf(string) (Owner, error) { return Owner{}, ErrUnknown }
