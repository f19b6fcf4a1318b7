package cli

const usage = `redis-cli ` + RedisVersion + ` of limpet

Usage: redis-cli [OPTIONS] [cmd [arg [arg ...]]]

Where to:
  -h <hostname>       server (default: 127.0.0.1)
  -p <port>           port (default: 6379)
  -s <socket>         Unix socket, instead of host and port
  -u <uri>            redis://[[user:]password@]host[:port][/db], rediss:// for TLS
  -n <db>             database number
  -a, --pass <pass>   password; REDISCLI_AUTH in the environment is safer
  --user <name>       user that the password belongs to
  --askpass           ask for the password
  --no-auth-warning   do not warn about -a
  --tls               use TLS, with --sni --cacert --cacertdir --cert --key --insecure
  -2, -3              speak RESP2 (default) or RESP3

What to send:
  -r <n>              repeat the command n times, below 0 for ever
  -i <seconds>        wait so long between repetitions, scans, samples
  -x                  last argument from standard input
  -X <tag>            the argument that reads <tag> from standard input
  --quoted-input      arguments may be quoted strings
  --eval <file>       run a Lua script: key1 key2 , arg1 arg2

How to show replies:
  --raw, --no-raw     as they are (default into a pipe), or formatted
  --csv, --json, --quoted-json
  -d <text>           between the parts of a reply in raw form (default: \n)
  -D <text>           after each reply in raw form (default: \n)
  -e                  exit with 1 after an error reply
  --show-pushes <yn>  show RESP3 push messages

Instead of a command:
  --scan              list keys, with --pattern <glob> or --quoted-pattern, --count <n>
  --bigkeys           the largest keys by elements
  --memkeys           the largest keys by memory, with --memkeys-samples <n>
  --stat              a line of figures each second, or each -i
  --latency           time of a PING: for ever on a terminal, else for a second or -i
  --latency-history   the same, a new line every 15 seconds or -i
  --pipe              send raw protocol from standard input; --pipe-timeout <seconds>

  --help, --version

Without a command, lines are read from standard input. On a terminal with editing
and a history, in ~/.rediscli_history or the file that REDISCLI_HISTFILE names.
`
