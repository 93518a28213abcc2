// What happens in sessions, as it happens: one EventSource for each page.

const TYPES = ["sgmn.event/1", "sgmn.review/1", "sgmn.session/1"];
const SILENCE_MS = 30_000; // the service pings each 10 s

/**
 * Follows the logs of sessions, and their newest windows.
 *
 * `sessions` is a list of {id, seq}: the last row of the log that the page knows.
 * Handlers: `row(row)` for {seq, session, type, wall_s, data}, each once and in order;
 * `now(now)` for {session, wall_s, now, stream}; `state(state)` for "connecting", "open" and
 * "reconnecting". It reconnects by itself, until `signal` aborts.
 */
export function follow(sessions, handlers, signal) {
  const positions = new Map(sessions.map((session) => [session.id, session.seq ?? 0]));
  let source = null;
  let timer = null;
  let wait = 500;

  const state = (name) => handlers.state?.(name);

  function heard() {
    wait = 500;
    clearTimeout(timer);
    timer = setTimeout(reconnect, SILENCE_MS);
    state("open");
  }

  function connect() {
    const query = new URLSearchParams([...positions.keys()].map((id) => ["session", id]));
    query.set("after", [...positions.values()].join("."));
    source = new EventSource(`/console/stream?${query}`);
    for (const type of ["open", "sgmn.ping"]) source.addEventListener(type, heard);
    source.addEventListener("sgmn.now", (event) => {
      heard();
      handlers.now?.(JSON.parse(event.data));
    });
    for (const type of TYPES) source.addEventListener(type, receive);
    source.addEventListener("error", reconnect);
  }

  function receive(event) {
    heard();
    const row = JSON.parse(event.data);
    if (row.seq <= positions.get(row.session)) return;
    positions.set(row.session, row.seq);
    handlers.row?.(row);
  }

  // The browser would reconnect by itself, but gives up for good after an error status.
  function reconnect() {
    source.close();
    clearTimeout(timer);
    if (signal.aborted) return;
    state("reconnecting");
    timer = setTimeout(connect, wait);
    wait = Math.min(2 * wait, 5000);
  }

  signal.addEventListener("abort", () => {
    clearTimeout(timer);
    source.close();
  });
  if (sessions.length) {
    state("connecting");
    connect();
  } else source = { close() {} };
}
