module limpet/bench/backup

go 1.26.0
