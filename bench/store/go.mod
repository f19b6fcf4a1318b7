module limpet/bench/store

go 1.26.0

require limpet v0.0.0

require (
	github.com/yuin/gopher-lua v1.1.2 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace limpet => ../..
