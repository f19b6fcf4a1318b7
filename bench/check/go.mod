module limpet/bench/check

go 1.26.0
