package queue

// engine is what SQLite and PostgreSQL say in different words: the times and the
// arguments of River's jobs. All other statements are the same for both.
type engine struct {
	// shared says that other processes, on other machines, may work on the queue.
	shared bool
	// enqueue makes a job. Arguments: delivery, kind, attempts that River would allow,
	// priority, seconds to wait.
	enqueue string
	// enqueueNext makes the job of the delivery that is stored next, so that this can be
	// stored with the number of the job; "" where deliver does both. Arguments: as enqueue has
	// them, after its first.
	enqueueNext string
	// deliver stores a delivery with its recipients and its job in one statement; "" where
	// several cost no more, as no server is asked. Arguments: message, sender, params,
	// created, destination, lined, those of enqueue after its first, and the addresses,
	// notifies, types and originals of the recipients.
	deliver string
	// due are the jobs of a priority that are to run now, the longest due first, as
	// River's index has them, with delivery and destination. A job that another node is
	// taking is none. PostgreSQL has the most rows as a second argument; with that of
	// SQLite it would compile the statement each time.
	due string
	// lined are the jobs that stand in line at a destination, as due has them. Further
	// arguments are the most rows, and the most attempts that were made.
	lined string
	// dueNow reports whether there is any.
	dueNow string
	// take marks a job as running; with PostgreSQL all of a list.
	take string
	// postpone has a job wait. Arguments: job, seconds.
	postpone string
	// next is when the job j runs, in Unix seconds.
	next string
	// jobOf is the delivery of a job, if it is that of a run. It is found by the job's key:
	// the start asks for each note, and many messages may wait. Arguments: job, run.
	jobOf string
	// strays are the deliveries that nothing will try: their job is gone or over, or is
	// marked as running though no process has it. Those of this process are among them.
	strays string
}

const strays = `SELECT d.id, coalesce(d.job_id, 0), d.attempts FROM smimerelay_delivery d LEFT JOIN river_job j ON j.id = d.job_id
	WHERE j.id IS NULL OR j.state NOT IN ('available', 'pending')`

const lined = `SELECT j.id, d.id, d.destination, d.attempts, true FROM smimerelay_delivery d JOIN river_job j ON j.id = d.job_id
	WHERE d.destination = $1 AND d.lined > 0 AND j.state = 'available' AND d.attempts <= $3 ORDER BY d.lined, d.id LIMIT $2`

var sqlite = engine{
	lined: lined,
	enqueue: `INSERT INTO river_job (args, kind, max_attempts, priority, scheduled_at)
		VALUES (jsonb_object('delivery', $1), $2, $3, $4, strftime('%Y-%m-%d %H:%M:%f', 'now', printf('%+.3f seconds', $5)))`,
	enqueueNext: `INSERT INTO river_job (args, kind, max_attempts, priority, scheduled_at)
		VALUES (jsonb_object('delivery', (SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = 'smimerelay_delivery')),
		$1, $2, $3, strftime('%Y-%m-%d %H:%M:%f', 'now', printf('%+.3f seconds', $4)))`,
	due: `SELECT j.id, coalesce(d.id, 0), coalesce(d.destination, ''), coalesce(d.attempts, 0), coalesce(d.lined > 0, false) FROM river_job j
		LEFT JOIN smimerelay_delivery d ON d.id = json_extract(j.args, '$.delivery')
		WHERE j.state = 'available' AND j.queue = 'default' AND j.priority = $1
		AND j.scheduled_at <= strftime('%Y-%m-%d %H:%M:%f', 'now') ORDER BY j.scheduled_at, j.id`,
	dueNow: `SELECT EXISTS (SELECT 1 FROM river_job WHERE state = 'available' AND queue = 'default' AND priority = 1
		AND scheduled_at <= strftime('%Y-%m-%d %H:%M:%f', 'now')) OR EXISTS (SELECT 1 FROM river_job
		WHERE state = 'available' AND queue = 'default' AND priority = 2 AND scheduled_at <= strftime('%Y-%m-%d %H:%M:%f', 'now'))`,
	take: `UPDATE river_job SET state = 'running', attempt = attempt + 1,
		scheduled_at = min(scheduled_at, strftime('%Y-%m-%d %H:%M:%f', 'now')) WHERE id = $1`,
	postpone: `UPDATE river_job SET scheduled_at = strftime('%Y-%m-%d %H:%M:%f', 'now', printf('%+.3f seconds', $2)) WHERE id = $1`,
	next:     `coalesce(strftime('%s', j.scheduled_at), 0)`,
	jobOf: `SELECT d.id FROM river_job j JOIN smimerelay_delivery d ON d.id = json_extract(j.args, '$.delivery') AND d.job_id = j.id,
		pragma_user_version v WHERE j.id = $1 AND v.user_version = CAST($2 AS INTEGER)`,
	strays: strays + ` ORDER BY d.id`,
}

// postgresql is the engine of the node of this name, which is of letters and digits.
func postgresql(node string) engine {
	return engine{
		shared: true,
		lined:  lined + ` FOR UPDATE OF j SKIP LOCKED`,
		enqueue: `INSERT INTO river_job (args, kind, max_attempts, priority, scheduled_at)
			VALUES (jsonb_build_object('delivery', $1::bigint), $2, $3, $4, now() + make_interval(secs => $5))`,
		deliver: `WITH n AS (SELECT nextval(pg_get_serial_sequence('smimerelay_delivery', 'id')) AS id),
			j AS (INSERT INTO river_job (args, kind, max_attempts, priority, scheduled_at)
				SELECT jsonb_build_object('delivery', n.id), $7::text, $8::smallint, $9::smallint, now() + make_interval(secs => $10::float8) FROM n RETURNING id),
			d AS (INSERT INTO smimerelay_delivery (id, job_id, message_id, sender, params, created, destination, lined)
				SELECT n.id, j.id, $1::bigint, $2::text, $3::text, $4::bigint, $5::text, $6::bigint FROM n, j)
			INSERT INTO smimerelay_recipient (delivery_id, position, address, notify, original_type, original)
				SELECT n.id, r.number - 1, r.address, r.notify, r.type, r.original
				FROM n, unnest($11::text[], $12::text[], $13::text[], $14::text[]) WITH ORDINALITY AS r (address, notify, type, original, number)`,
		due: `SELECT j.id, coalesce(d.id, 0), coalesce(d.destination, ''), coalesce(d.attempts, 0), coalesce(d.lined > 0, false) FROM river_job j
			LEFT JOIN smimerelay_delivery d ON d.id = (j.args->>'delivery')::bigint
			WHERE j.state = 'available' AND j.queue = 'default' AND j.priority = $1
			AND j.scheduled_at <= now() ORDER BY j.scheduled_at, j.id LIMIT $2 FOR UPDATE OF j SKIP LOCKED`,
		dueNow: `SELECT EXISTS (SELECT 1 FROM river_job WHERE state = 'available' AND queue = 'default'
			AND priority IN (1, 2) AND scheduled_at <= now())`,
		take: `UPDATE river_job SET state = 'running', attempt = attempt + 1, attempted_at = now(), attempted_by = ARRAY['` + node + `'],
			scheduled_at = least(scheduled_at, now()) WHERE id = ANY($1::bigint[])`,
		postpone: `UPDATE river_job SET scheduled_at = now() + make_interval(secs => $2) WHERE id = $1`,
		next:     `coalesce(extract(epoch FROM j.scheduled_at)::bigint, 0)`,
		jobOf: `SELECT d.id FROM river_job j JOIN smimerelay_delivery d ON d.id = (j.args->>'delivery')::bigint AND d.job_id = j.id
			WHERE j.id = $1 AND j.state = 'running' AND j.attempted_by[1] = $2`,
		// A node whose lease lasts works on its jobs; what this one has it knows itself.
		strays: strays + ` AND NOT EXISTS (SELECT 1 FROM smimerelay_node n WHERE j.state = 'running' AND n.name = j.attempted_by[1]
			AND n.name <> '` + node + `' AND n.until > ` + serverNow + `) ORDER BY d.id`,
	}
}

// serverNow is the time of the PostgreSQL server in Unix milliseconds: the clocks of
// nodes may differ.
const serverNow = `(extract(epoch FROM clock_timestamp()) * 1000)::bigint`
