// Shows /queue/status, once a second while somebody looks. Text from the server is only ever put in as text.
"use strict";

const EVERY = 1000;
const SHOWN = 50;
let later;
let asking;

function made(name, kind, text) {
  const element = document.createElement(name);
  if (kind) element.className = kind;
  if (text !== undefined) element.textContent = text;
  return element;
}

function clock(text) {
  const at = text ? new Date(text) : null;
  return at && !Number.isNaN(at.getTime()) ? at.toLocaleTimeString() : "nobody can say when";
}

function counted(number, name) {
  return `${number} ${name}${number === 1 ? "" : "s"}`;
}

function working(job) {
  const box = made("div", "job");
  box.append(made("p", "", `${job.job_id} · ${job.question || "between questions"}`));
  const models = job.models && job.models.length ? job.models.join(", ") : "no model in flight";
  box.append(made("p", "soft", `${models} · since ${clock(job.started_at)} · ${job.user} · ${job.run_id}`));
  return box;
}

function waiting(ticket) {
  const line = made("li");
  line.append(made("span", "soft", ticket.position));
  const about = made("span", "", ticket.job_id);
  const starts = ticket.expected_at ? `about ${clock(ticket.expected_at)}` : clock(null);
  const said = ticket.held ? `held back: ${ticket.held}` : starts;
  about.append(made("span", "soft", ` ${said} · ${counted(ticket.executions, "execution")} · ${ticket.user}`));
  line.append(about);
  return line;
}

function sign(queue) {
  if (queue.paused) return made("span", "sign paused", "paused");
  if (queue.processing) return made("span", "sign working", "working");
  return made("span", "sign", queue.reclaiming.length ? "cleaning up" : "idle");
}

function region(queue) {
  const box = made("section");
  const head = made("div", "head");
  head.append(made("h2", "", queue.region), sign(queue));
  box.append(head);
  const gpus = `${queue.gpus.in_use} of ${queue.gpus.limit} GPUs in use, ${queue.gpus.idle} idle`;
  box.append(made("p", "soft", gpus));
  box.append(made("p", "soft", `${counted(queue.completed, "job")} completed, ${queue.failed} failed`));
  for (const job of queue.jobs) box.append(working(job));
  const list = made("ol");
  for (const ticket of queue.waiting.slice(0, SHOWN)) list.append(waiting(ticket));
  if (queue.waiting.length) box.append(list);
  if (queue.waiting.length > SHOWN) box.append(made("p", "soft", `and ${queue.waiting.length - SHOWN} more`));
  return box;
}

function aside([run, regions]) {
  const line = made("p");
  const where = regions.map((each) => each.toUpperCase()).join(", ");
  line.append(made("strong", "", `set aside in ${where}: `), `run ${run} lost process after process there; `);
  line.append("find out why, then: ", made("code", "", `beacon queue release ${run}`));
  return line;
}

function show(status) {
  document.getElementById("gpus").textContent = `${status.gpus.in_use} of ${status.gpus.limit} GPUs in use`;
  document.getElementById("queues").replaceChildren(...Object.values(status.queues).map(region));
  document.getElementById("aside").replaceChildren(...Object.entries(status.set_aside).map(aside));
  const quiet = status.quiet_until ? `, no turn before ${clock(status.quiet_until)}` : "";
  tell(`as of ${clock(status.at)}${quiet}`, false);
}

function tell(text, lost) {
  const state = document.getElementById("state");
  state.textContent = text;
  state.classList.toggle("lost", lost);
}

async function ask() {
  clearTimeout(later);
  if (document.hidden || asking) return;
  asking = true;
  try {
    const answer = await fetch("/queue/status", { signal: AbortSignal.timeout(10 * EVERY) });
    if (!answer.ok) throw new Error(`the server says ${answer.status}`);
    show(await answer.json());
  } catch (error) {
    tell(`no news: ${error.message}`, true);
  } finally {
    asking = false;
    later = setTimeout(ask, EVERY);
  }
}

document.addEventListener("visibilitychange", ask);
ask();
