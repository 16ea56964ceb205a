"use strict";
const $ = id => document.getElementById(id);
const api = "/api/v1", gms = "/genesys/1/service/callback/";
const state = { agents: new Map(), calls: new Map(), callbacks: new Map(), contacts: new Map(), queues: [], services: [], statistics: null, compliance: null };
const kept = 300, shown = 500;
let chosen = null, starts = false, lastId = null, due = false, skew = 0, asking = null, desk = null;

const kinds = { agent_leg: "agent's leg", callback: "callback", preview: "preview", inbound: "inbound" };
const tones = { available: "good", on_call: "talk", offered: "warn", preview: "warn", persistent_call_offered: "warn", wrap_up: "warn", refused: "bad",
  up: "good", dialling: "warn", validating: "warn", spliced: "talk", ringing: "warn", queued: "warn", connected: "talk", ROUTING: "warn", PROCESSING: "talk" };
const troubles = { busy: "the phone is busy", no_answer: "the phone was not answered", rejected: "the phone refused the call", network: "the phone cannot be reached",
  lost: "the connection was lost", hung_up: "the phone was hung up", engine: "the engine lost the connection", pin: "too many wrong PINs" };
const results = { k: "answered", b: "busy or rejected", t: "no answer", h: "agent hung up", q: "agent left", c: "set-up timeout", e: "network error", d: "ended by a supervisor" };

function el(tag, text, tone) { const node = document.createElement(tag); if (text !== undefined) node.textContent = text; if (tone) node.className = tone; return node; }
// What people who have read no protocol call it.
const plain = { spliced: "talking", up: "off hook", down: "on hook", dialling: "calling", validating: "asking for the PIN", wrap_up: "wrap-up" };
const words = text => plain[text] ?? (text ?? "").toLowerCase().replaceAll("_", " ");
const put = (node, text) => { if (node.textContent !== text) node.textContent = text; };
const badge = (node, name) => { put(node, words(name)); node.className = "state " + (tones[name] ?? "soft"); };
// Data as somebody attached it: a line for each value, and JSON for what is deeper.
const lines = data => typeof data !== "object" || data === null ? String(data ?? "") : Object.entries(data).map(([key, value]) => key + ": " + (typeof value === "object" ? JSON.stringify(value) : value)).join("\n");
const lasting = ms => { const s = Math.max(0, Math.round(ms / 1000)); return s < 60 ? s + " s" : s < 3600 ? Math.floor(s / 60) + " min" : Math.floor(s / 3600) + " h"; };
const ago = ms => ms ? lasting(Date.now() + skew - ms) : "";
const byName = new Intl.Collator(undefined, { numeric: true }).compare;
const phone = agent => ({ registered: () => "registered here", sip: s => s.uri, number: s => s.number })[agent.station?.kind]?.(agent.station) ?? "no station";

async function token() {
  asking ??= new Promise(resolve => {
    put($("ask-said"), sessionStorage.getItem("token") ? "This token was refused." : "");
    $("ask").showModal();
    $("ask").onclose = () => { sessionStorage.setItem("token", $("token").value); $("token").value = ""; asking = null; resolve(); };
  });
  return asking;
}
async function send(path, options = {}) {
  for (;;) {
    const headers = { ...options.headers };
    const bearer = sessionStorage.getItem("token");
    if (bearer) headers.authorization = "Bearer " + bearer;
    if (options.body) headers["content-type"] = "application/json";
    const response = await fetch(path, { ...options, headers }).catch(() => { throw new Error("control does not answer"); });
    if (response.status !== 401) return response;
    await token();
  }
}
async function json(path, method = "GET", body) {
  const response = await send(path, { method, body: body === undefined ? undefined : JSON.stringify(body) });
  const date = response.headers.get("date");
  if (date) skew = Date.parse(date) - Date.now();
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw Object.assign(new Error(answer.message ?? "refused with " + response.status), { answer });
  if (Array.isArray(answer)) answer.next = response.headers.get("x-next");
  return answer;
}
async function every(path) {
  const found = [];
  for (let more = ""; ;) {
    const page = await json(path + more);
    found.push(...page);
    if (!page.next) return found;
    more = "?after=" + encodeURIComponent(page.next);
  }
}
// The last ones by an order, of a list of any length.
async function last(path, order) {
  let found = [];
  for (let more = ""; ;) {
    const page = await json(path + "?limit=1000" + more);
    found = found.concat(page).sort(order).slice(-kept);
    if (!page.next) return found;
    more = "&after=" + encodeURIComponent(page.next);
  }
}
const open = callback => callback._callback_state !== "COMPLETED", busy = contact => ["offered", "dialling", "connected"].includes(contact.state);
const fill = (map, list) => { map.clear(); for (const item of list) map.set(item.id ?? item._id, item); };
// The newest come last, and those that live after them.
const newest = calls => { const over = call => call.state === "ended"; return calls.filter(call => call.kind !== "agent_leg").sort((a, b) => over(b) - over(a) || a.started_ms - b.started_ms).slice(-kept); };
const trim = map => { for (const key of map.keys()) { if (map.size <= kept) break; map.delete(key); } };

async function fetchAll() {
  const [agents, calls, contacts, callbacks, queues, services, statistics, compliance] =
    await Promise.all([every(api + "/agents"), every(api + "/calls"), last(api + "/contacts", (a, b) => busy(a) - busy(b)),
      last(gms.slice(0, -1), (a, b) => open(a) - open(b) || byName(a._desired_time, b._desired_time)),
      ...["/queues", "/services", "/statistics", "/compliance"].map(path => json(api + path))]);
  fill(state.agents, agents); fill(state.calls, newest(calls)); fill(state.contacts, contacts); fill(state.callbacks, callbacks);
  Object.assign(state, { queues, services, statistics, compliance });
  options($("service"), services); options($("contact-queue"), queues.map(queue => queue.name));
  await fetchHealth();
  render();
}
async function fetchHealth() { try { showHealth(await json("/healthz")); } catch (error) { pill("engine", false, error.message); } }
function options(select, names) { if ([...select.options].map(option => option.value).join("\n") !== names.join("\n")) select.replaceChildren(...names.map(name => el("option", name))); }
function pill(id, good, text) { put($(id), text); $(id).className = "pill " + (good ? "good" : "bad"); }
function showHealth(health) { pill("engine", health.engine === "up", "engine " + health.engine); showTrunk(health.trunk); }
function showLive(good, text) { pill("live", good, text); }
function showTrunk(trunk) {
  state.trunk = trunk;
  const held = state.statistics?.held_back, waits = held ? `, ${held} held back` : "";
  $("trunk").hidden = trunk.state === "unwatched";
  pill("trunk", trunk.state === "up", "trunk " + (trunk.reason ? "down: " + trunk.reason : trunk.state) + waits);
}

const takes = {
  agent: view => state.agents.set(view.id, view),
  call: view => { state.calls.delete(view.id); state.calls.set(view.id, view); trim(state.calls); },
  callback: view => { state.callbacks.delete(view._id); state.callbacks.set(view._id, view); trim(state.callbacks); },
  contact: view => { state.contacts.delete(view.id); state.contacts.set(view.id, view); trim(state.contacts); },
  statistics: view => { state.statistics = view; if (state.trunk) showTrunk(state.trunk); },
  trunk: showTrunk,
  operation: view => { if (view.agent === chosen) say(view.result === "up" ? "The connection is open." : "The connection failed: " + trouble(view.error), view.result !== "up"); },
  offer: () => {},
};
const trouble = error => troubles[error] ?? words(error);
async function listen() {
  for (;;) {
    try {
      if (lastId === null) await fetchAll();
      const response = await send(api + "/events", { headers: lastId === null ? {} : { "last-event-id": lastId } });
      if (!response.ok) throw new Error();
      if (lastId === null) await fetchAll();
      showLive(true, "live");
      await read(response.body.getReader());
    } catch { }
    showLive(false, "connection lost, trying again");
    await new Promise(done => setTimeout(done, 1500));
  }
}
async function read(reader) {
  const decoder = new TextDecoder();
  for (let text = ""; ;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += decoder.decode(value, { stream: true });
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) take(block);
  }
}
function take(block) {
  const fields = {};
  for (const line of block.split("\n")) { const at = line.indexOf(":"); if (at > 0) fields[line.slice(0, at)] = line.slice(at + 1).trimStart(); }
  if (fields.id) lastId = fields.id;
  if (fields.event === "reset") fetchAll().catch(() => {});
  else if (fields.data && takes[fields.event]) { takes[fields.event](JSON.parse(fields.data)); later(); }
}

setInterval(() => { if (lastId !== null) json(api + "/compliance").then(view => { state.compliance = view; later(); }, () => {}); }, 10000);
function later() { if (!due) { due = true; setTimeout(() => { due = false; render(); }, 120); } }
function rows(body, list, make, update, none) {
  const old = new Map([...body.children].map(row => [row.dataset.id, row]));
  list.forEach((item, index) => {
    const id = String(item.id ?? item._id ?? item.name);
    let row = old.get(id);
    if (row) old.delete(id); else { row = make(item); row.dataset.id = id; }
    update(row, item);
    if (body.children[index] !== row) body.insertBefore(row, body.children[index] ?? null);
  });
  for (const row of old.values()) row.remove();
  if (!list.length && none) { const row = el("tr"); const cell = el("td", none, "empty"); cell.colSpan = 9; row.append(cell); row.dataset.id = ""; body.append(row); }
}
const cells = count => () => { const row = el("tr"); for (let n = 0; n < count; n++) row.append(el("td")); return row; };

function render() {
  const s = state.statistics;
  // Before control has answered, nothing can be said to be missing.
  if (!s) return;
  tiles([["Off hook", s.legs_up], ["Ready", s.agents.available ?? 0], ["Talking", s.spliced], ["Waiting", s.waiting], ["Dialled", s.dialled],
    ["Answered", s.answered], ["Connected", s.connected], ["Abandoned", s.abandoned],
    ["To audio, p50", s.answer_to_audio_p50_ms, "ms"], ["To audio, p99", s.answer_to_audio_p99_ms, "ms"]]);
  const wanted = $("find").value.trim().toLowerCase();
  const all = [...state.agents.values()].filter(agent => !wanted || [agent.name, agent.id, words(agent.status), customer(agent)].join("\n").toLowerCase().includes(wanted));
  const counts = new Map();
  for (const agent of state.agents.values()) counts.set(agent.status, (counts.get(agent.status) ?? 0) + 1);
  put($("agents-count"), [...counts].sort(([, a], [, b]) => b - a).map(([status, count]) => count + " " + words(status)).join(" · "));
  const urgent = agent => agent.offer ? 0 : agent.status === "logged_out" ? 2 : 1;
  all.sort((a, b) => urgent(a) - urgent(b) || byName(a.name, b.name));
  const list = all.slice(0, shown);
  rows($("agents"), list, agentRow, agentCells, "No agents yet: add them to the configuration or PUT /api/v1/agents/{id}.");
  $("agents-note").hidden = all.length <= list.length;
  put($("agents-note"), all.length > list.length ? `${all.length - list.length} more: narrow the search.` : "");
  rows($("queues"), state.queues, () => { const row = cells(4)(); [...row.children].slice(1).forEach(cell => cell.className = "number"); return row; }, (row, queue) =>
    [queue.name, queue.waiting, queue.waiting ? lasting(queue.oldest_ms) : "–", queue.agents_ready].forEach((text, n) => put(row.children[n], String(text))), "No queues.");
  const calls = [...state.calls.values()].filter(call => call.kind !== "agent_leg").reverse()
    .sort((a, b) => (a.state === "ended") - (b.state === "ended")).slice(0, 60);
  rows($("calls"), calls, () => { const row = cells(6)(); row.children[3].append(el("span")); row.children[4].className = row.children[5].className = "number"; return row; }, (row, call) => {
    const ms = call.answer_to_audio_ms, from = call.answered_ms ?? call.started_ms;
    put(row.children[0], call.number); put(row.children[1], kinds[call.kind] ?? call.kind); put(row.children[2], name(call.agent));
    badge(row.children[3].firstChild, call.state === "ended" && call.result ? call.result : call.one_way ? "no audio " + call.one_way.map(words).join(", ") : call.state);
    put(row.children[4], call.ended_ms ? lasting(call.ended_ms - from) : ago(from));
    put(row.children[5], ms == null ? "" : ms.toFixed(1) + " ms");
  }, "No calls yet.");
  rows($("callbacks"), [...state.callbacks.values()].reverse().slice(0, 60), callbackRow, (row, cb) => {
    put(row.children[0], cb._customer_number); put(row.children[1], cb._service_name); badge(row.children[2].firstChild, cb._callback_state);
    put(row.children[3], words(cb._callback_reason)); row.children[4].firstChild.hidden = !["SCHEDULED", "QUEUED"].includes(cb._callback_state);
  }, "No callbacks yet.");
  rows($("contacts"), [...state.contacts.values()].reverse().slice(0, 60), () => { const row = cells(5)(); row.children[2].append(el("span")); return row; }, (row, contact) => {
    put(row.children[0], contact.number); put(row.children[1], contact.queue); badge(row.children[2].firstChild, contact.state);
    put(row.children[3], notBefore(contact) || (results[contact.result_code] ?? "")); put(row.children[4], name(contact.agent));
  }, "No contacts yet.");
  const percent = rate => rate.abandoned_percent.toFixed(2) + " %";
  rows($("compliance"), (state.compliance?.campaigns ?? []).map(campaign => ({ ...campaign, id: campaign.kind + " " + campaign.name })), () => { const row = cells(7)(); [...row.children].slice(1, 6).forEach(cell => cell.className = "number"); return row; }, (row, campaign) => {
    [campaign.id, campaign.dialled, campaign.us.answered, percent(campaign.us), percent(campaign.uk), campaign.short_ring, Object.entries(campaign.refused).map(([rule, count]) => words(rule) + " " + count).join(", ")].forEach((text, n) => put(row.children[n], String(text)));
    row.children[3].classList.toggle("bad", campaign.us.abandoned_percent > state.compliance.max_abandoned_percent);
  }, "No calls yet.");
  renderDesk();
}
// When a contact that waits may be called, where that is later.
function notBefore(contact) {
  const at = new Date(contact.not_before);
  return contact.state === "queued" && at > Date.now() + skew ? "not before " + at.toLocaleString([], { dateStyle: "short", timeStyle: "short" }) : "";
}
const customer = agent => state.calls.get(agent.call)?.number ?? agent.offer?.number ?? (agent.call ? "call " + agent.call : "");
// A number to which somebody passed the customer on is no agent; its id begins with a dot.
const name = id => id ? state.agents.get(id)?.name ?? (id.startsWith(".") ? "another number" : id) : "";
function tiles(list) {
  rows($("tiles"), list.map(([title, value, unit]) => ({ id: title, value, unit })), tile => { const box = el("div"); const value = el("dd"); value.append(el("span"), el("small", tile.unit ? " " + tile.unit : "")); box.append(el("dt", tile.id), value); if (tile.unit) box.title = "From a customer's answer to audio in both directions"; return box; }, (box, tile) => {
    const value = tile.value == null ? "–" : tile.unit ? tile.value.toFixed(tile.value < 100 ? 1 : 0) : String(tile.value);
    put(box.lastChild.firstChild, value);
  });
}
function agentRow(agent) {
  const row = cells(5)(), pick = el("button", "", "link");
  pick.onclick = () => choose(agent.id);
  row.children[0].append(pick); row.children[1].append(el("span")); row.children[2].append(el("span")); row.children[4].className = "number";
  return row;
}
function agentCells(row, agent) {
  put(row.children[0].firstChild, agent.name);
  badge(row.children[1].firstChild, agent.status); badge(row.children[2].firstChild, agent.connection);
  put(row.children[3], customer(agent));
  put(row.children[4], ago(agent.since_ms));
  row.classList.toggle("chosen", agent.id === chosen);
}
function callbackRow(cb) {
  const row = cells(5)(), cancel = el("button", "Cancel", "link");
  cancel.onclick = () => act(() => json(gms + encodeURIComponent(cb._service_name) + "/" + encodeURIComponent(cb._id), "DELETE"), "callbacks-said");
  row.children[2].append(el("span")); row.children[4].append(cancel);
  return row;
}

// Opened with the trigger, the page asks for the connection as soon as it shows the desk, or at the log-in (PC-06).
function start(agent) {
  if (!starts) return;
  starts = false;
  $("initiate").checked = true;
  if (agent.status !== "logged_out") act(() => json(at("/connection"), "POST", {}));
}
function choose(id) { chosen = id; location.hash = encodeURIComponent(id); say(""); render(); }
function renderDesk() {
  const agent = state.agents.get(chosen);
  $("desk").hidden = !agent; $("desk-empty").hidden = !!agent;
  if (!agent) return;
  put($("desk-name"), agent.name); badge($("desk-status"), agent.status);
  renderMode(agent);
  start(agent);
  put($("desk-phone"), `Phone (${phone(agent)}): ${words(agent.connection)}`);
  put($("desk-error"), agent.last_error && agent.connection === "down" ? trouble(agent.last_error) : "");
  const call = agent.call && state.calls.get(agent.call);
  $("desk-call").hidden = !call;
  if (call) put($("desk-call"), `${call.state === "spliced" ? "Talking to" : "Calling"} ${call.number} (${kinds[call.kind] ?? call.kind})`);
  $("keys").hidden = $("transfer").hidden = call?.state !== "spliced";
  $("consult").hidden = call?.state !== "queued";
  const contact = lastContact(agent);
  $("outcome").hidden = !contact;
  if (contact) { put($("outcome-number"), contact.number); $("outcome-text").placeholder = contact.disposition ?? ""; }
  if (call) put($("keys"), { blocking: "Blocking keys …", blocked: "Unblock keys" }[call.keys] ?? "Block keys");
  const offer = agent.offer, waits = offer && ["offered", undefined].includes(offer.state);
  $("offer").hidden = !offer; $("offer").classList.toggle("waits", !!waits);
  if (offer) {
    put($("offer-kind"), { callback: "Callback", preview: "Preview: call this contact?", inbound: "Caller" }[offer.kind] ?? offer.kind);
    put($("offer-number"), offer.number);
    put($("offer-data"), lines(offer.data));
    $("offer-acts").hidden = !waits; $("offer-cancel").hidden = offer.kind !== "preview";
  }
  const wasHidden = $("pin").hidden;
  $("pin").hidden = agent.connection !== "validating";
  if (wasHidden && !$("pin").hidden) { $("pin-field").value = ""; $("pin-field").focus(); }
  const out = agent.status === "logged_out";
  $("initiating").hidden = !out;
  const enable = { login: out, available: !out && agent.status !== "available", break: !out && agent.status !== "on_break", offline: !out && agent.status !== "working_offline",
    logout: !out, establish: !out && agent.connection === "down", release: agent.connection !== "down", hangup: !!agent.call, wrapped: agent.status === "wrap_up" };
  for (const [key, on] of Object.entries(enable)) { const button = document.querySelector(`[data-act="${key}"]`); if (button.disabled === on) button.disabled = !on; }
  if (desk !== chosen) { desk = chosen; document.title = agent.name + " · Offhook"; }
}
// The contact that the agent has or had last, while it can be said what came of it.
function lastContact(agent) {
  if (!["on_call", "wrap_up"].includes(agent.status)) return undefined;
  const mine = map => [...map.values()].filter(item => item.agent === agent.id).pop();
  const call = mine(state.calls), contact = mine(state.contacts);
  return call?.kind === "preview" && call.number === contact?.number ? contact : undefined;
}
const modeWords = mode => `${mode.persistent ? "persistent" : "on demand"}, ${mode.auto_accept ? "offers accepted automatically" : "offers accepted by click"}`;
function renderMode(agent) {
  const next = agent.next_mode ?? agent, may = agent.may_change ?? {}, offline = agent.status === "working_offline";
  put($("mode-now"), `Mode: ${modeWords(agent)}` + (agent.next_mode ? `; from the next “available”: ${modeWords(next)}` : ""));
  put($("mode-persistent"), next.persistent ? "Switch to on demand" : "Switch to persistent");
  put($("mode-auto"), next.auto_accept ? "Accept offers by click" : "Accept offers automatically");
  $("mode-persistent").hidden = !may.persistent; $("mode-auto").hidden = !may.auto_accept;
  $("mode-persistent").disabled = $("mode-auto").disabled = !offline;
  $("mode-persistent").onclick = () => changeMode({ persistent: !next.persistent });
  $("mode-auto").onclick = () => changeMode({ auto_accept: !next.auto_accept });
}
async function changeMode(wish) {
  const asked = await act(() => json(at("/mode"), "POST", wish));
  if (!asked) return;
  put($("confirm-text"), asked.notice);
  $("confirm").returnValue = "no"; $("confirm").showModal();
  $("confirm").onclose = () => { if ($("confirm").returnValue === "yes") act(() => json(at("/mode/confirm"), "POST", { change: asked.change })); };
}
const acts = { login: ["/login", () => ({ initiate: $("initiate").checked })], logout: ["/logout"], available: ["/status", { status: "available" }], break: ["/status", { status: "on_break" }],
  offline: ["/status", { status: "working_offline" }], establish: ["/connection", {}], release: ["/connection", undefined, "DELETE"], accept: ["/accept"], reject: ["/reject"],
  cancel: ["/cancel"], hangup: ["/hangup"], wrapped: ["/wrap_up_done"],
  complete: ["/transfer/complete"], takeback: ["/transfer/cancel"] };
const at = path => api + "/agents/" + encodeURIComponent(chosen) + path;
async function act(request, where = "said") {
  // Events say what comes of it. They may be faster than the answer, which then is old: it changes nothing here.
  say("", false, where);
  try { return await request(); }
  catch (error) { say(error.message.charAt(0).toUpperCase() + error.message.slice(1) + ".", true, where); }
}
function say(text, bad, where = "said") { $(where).textContent = text; $(where).className = "said " + (bad ? "bad" : "good"); }

document.querySelectorAll("[data-act]").forEach(button => button.onclick = () => { const [path, body, method = "POST"] = acts[button.dataset.act]; act(() => json(at(path), method, typeof body === "function" ? body() : body)); });
$("pin").onsubmit = async event => { event.preventDefault(); const done = await act(() => json(at("/pin"), "POST", { pin: $("pin-field").value })); $("pin-field").value = ""; if (done) say("The connection is open."); };
$("new-callback").onsubmit = async event => { event.preventDefault(); if (await act(() => json(gms + encodeURIComponent($("service").value), "POST", { _customer_number: $("callback-number").value, _call_direction: "USERTERMINATED" }), "callbacks-said")) $("callback-number").value = ""; };
$("new-contact").onsubmit = async event => { event.preventDefault(); if (await act(() => json(api + "/contacts", "POST", { queue: $("contact-queue").value, number: $("contact-number").value }), "contacts-said")) $("contact-number").value = ""; };
$("keys").onclick = () => { const call = state.calls.get(state.agents.get(chosen)?.call); act(() => json(at("/keys"), "POST", { blocked: call?.keys === "heard" })); };
$("transfer").onsubmit = async event => {
  event.preventDefault();
  const to = { [$("transfer-kind").value]: $("transfer-to").value };
  if (await act(() => json(at("/transfer"), "POST", { to, mode: event.submitter?.value ?? "blind" }))) $("transfer-to").value = "";
};
$("transfer-kind").onchange = $("transfer-to").onfocus = () => {
  const kind = $("transfer-kind").value, ready = [...state.agents.values()].filter(agent => agent.status === "available" && agent.id !== chosen);
  const names = { agent: ready.slice(0, 50).map(agent => agent.id), queue: state.queues.map(queue => queue.name), number: [] }[kind];
  $("transfer-names").replaceChildren(...names.map(name => { const option = el("option"); option.value = name; return option; }));
  $("transfer-ask").disabled = kind === "queue";
  $("transfer-to").placeholder = { agent: "agent id", number: "+1555…", queue: "queue name" }[kind];
};
$("outcome").onsubmit = async event => {
  event.preventDefault();
  const contact = lastContact(state.agents.get(chosen));
  if (contact && await act(() => json(api + "/contacts/" + encodeURIComponent(contact.id) + "/disposition", "POST", { disposition: $("outcome-text").value }))) { $("outcome-text").value = ""; say("The outcome is saved."); }
};
$("reports").onsubmit = event => { event.preventDefault(); const way = event.submitter?.value === "save" ? saveReport : showReport; act(way, "reports-said").then(text => text && say(text, false, "reports-said")); };
const reportPath = more => `${api}/${$("report").value}?limit=10000${more}`;
const reportFrom = () => "&from=" + new Date(Date.now() + skew - Number($("report-since").value) * 1000).toISOString();
async function showReport() {
  let rows = [];
  for (let more = reportFrom(); ;) {
    const page = await json(reportPath(more));
    rows = [...rows, ...page.rows].slice(-shown);
    if (page.next === undefined) break;
    more = "&after=" + page.next;
  }
  const columns = rows.length ? await reportColumns() : [], text = value => typeof value === "object" && value !== null ? JSON.stringify(value) : reportTime(String(value ?? ""));
  $("report-head").replaceChildren(...columns.map(column => { const cell = el("th", words(column).trim()); cell.scope = "col"; return cell; }));
  $("report-rows").replaceChildren(...rows.reverse().map(row => { const line = el("tr"); line.append(...columns.map(column => el("td", text(row[column])))); return line; }));
  return rows.length === shown ? `Only the newest ${shown} rows are shown; the CSV has all of them.` : rows.length ? "" : "Nothing in this period.";
}
// In the order of the CSV, whose first line names them.
async function reportColumns() {
  const text = await (await send(`${api}/${$("report").value}?limit=1&format=csv`)).text();
  return text.split(/\r?\n/, 1)[0].split(",");
}
// Times by the reader's clock; the CSV has them in UTC.
const reportTime = text => /^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(text) ? new Date(text).toLocaleString("sv") : text;
async function saveReport() {
  const parts = [];
  for (let more = reportFrom(); ;) {
    const response = await send(reportPath(more + "&format=csv")), text = await response.text();
    if (!response.ok) throw new Error("the report was refused with " + response.status);
    parts.push(parts.length ? text.slice(text.indexOf("\n") + 1) : text);
    const next = response.headers.get("x-next");
    if (!next) break;
    more = "&after=" + next;
  }
  const link = el("a");
  link.href = URL.createObjectURL(new Blob(parts, { type: "text/csv" }));
  link.download = $("report").value + ".csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  return "Saved as " + link.download + ".";
}
$("find").oninput = later;
const [hash, ...triggers] = location.hash.slice(1).split("&");
starts = triggers.includes("establish");
try { chosen = decodeURIComponent(hash) || null; } catch { chosen = null; }
setInterval(later, 1000);
setInterval(async () => { await fetchHealth(); try { state.queues = await json(api + "/queues"); } catch { } later(); }, 2000);
listen();
