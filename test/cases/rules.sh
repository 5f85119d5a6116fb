#!/bin/bash
# rules.sh FROM MESSAGE RULE [TABLES] shows what the gateway of "smimerelay demo" does
# with a message to bob@example.net when its first rule has the lines of RULE.
# With LEAVES set it prints the message that leaves instead of the explanation.
set -e
alone() { unshare --net -- bash -c 'ip link set lo up && "$@"' alone "$@"; }

[ -d demo ] || alone smimerelay demo --dir demo >demo.out 2>&1 || { cat demo.out; exit 1; }
config=demo/rules.toml
{
	sed '/^\[\[rule\]\]/,$d' demo/config.toml
	printf '[[rule]]\nname = "first"\nrecipient = ["bob@example.net"]\n%b\n' "$3"
	printf '[[rule]]\nname = "default"\nsign = "never"\nencrypt = "never"\n%b\n' "$4"
} >"$config"

if [ -z "$LEAVES" ]; then
	exec smimerelay explain --config "$config" --from "$1" --to bob@example.net "$2"
fi

# Nothing listens at the next hop, so that the message stays in the queue.
# shellcheck disable=SC2016
alone bash -c '
	smimerelay serve --config "$1" 2>serve.log & gateway=$!
	trap "kill $gateway" EXIT
	python3 - "$2" "$3" <<-"END"
		import smtplib, sys, time
		for _ in range(100):
		    try: s = smtplib.SMTP("127.0.0.1", 2525); break
		    except OSError: time.sleep(0.1)
		s.sendmail(sys.argv[1], ["bob@example.net"], open(sys.argv[2], "rb").read())
	END
	id=$(smimerelay queue list --config "$1" --json | python3 -c "import json,sys; print(json.load(sys.stdin)[0][\"id\"])")
	smimerelay queue show --config "$1" --message "$id"
' leaves "$config" "$1" "$2"
