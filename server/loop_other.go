//go:build !linux

package server

import (
	"errors"
	"net"
)

// loop is not there but on Linux: each connection has a goroutine.
type loop struct{}

func startLoop(*Server) (*loop, error) { return nil, errors.ErrUnsupported }

func (*loop) adopt(net.Conn) bool { return false }
func (*loop) stop()               {}
func (*loop) look()               {}
