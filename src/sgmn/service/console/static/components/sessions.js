// What pages say about sessions.

import { h } from "../dom.js";
import { t } from "../texts.js";

export const ACTIVE = ["queued", "starting", "running", "reconnecting", "recovering", "stopping"];

/** A short name of a session for people: the end of its source. */
export function sessionName(session) {
  const path = session.source.split(/[?#]/)[0].replace(/\/+$/, "");
  return path.slice(path.lastIndexOf("/") + 1) || session.source;
}

/** The state of a session as a badge. */
export function stateBadge(state) {
  return h("span", { class: "badge", data: { state } }, t(`state.${state}`));
}

/** The address of the newest frame, or null if frames are not kept. */
export function frameUrl(sessionId, timeS) {
  return `/v1/sessions/${sessionId}/frames/${timeS.toFixed(3)}.jpg`;
}
