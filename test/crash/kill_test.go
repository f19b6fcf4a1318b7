package crash

const serveDirVar = "LIMPET_CRASH_SERVE_DIR"

func serveUntilKilled(dir string) {}
