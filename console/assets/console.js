// What pages do beyond forms and links: counters that refresh, and search as one types. Both
// load the page that the server would show, and take a part of it.
"use strict";

async function load(url, headers = {}) {
	const answer = await fetch(url, { headers: { Accept: "text/html", ...headers }, redirect: "error" });
	if (!answer.ok) throw new Error(String(answer.status));
	return new DOMParser().parseFromString(await answer.text(), "text/html");
}

function replace(old, page, selector) {
	const fresh = page.querySelector(selector);
	if (fresh) old.replaceChildren(...fresh.childNodes);
}

for (const live of document.querySelectorAll("[data-live]")) {
	setInterval(async () => {
		if (document.hidden || live.contains(document.activeElement) || live.querySelector("details[open]")) return;
		try {
			replace(live, await load(location.href, { "Smimerelay-Refresh": "1" }), "[data-live]");
		} catch { /* the session ended, or the gateway restarts: what is shown stays */ }
	}, 10000);
}

for (const form of document.querySelectorAll("form[data-search]")) {
	let wait = 0, turn = 0;
	form.addEventListener("input", () => {
		clearTimeout(wait);
		wait = setTimeout(async () => {
			const mine = ++turn, url = form.action + "?" + new URLSearchParams(new FormData(form));
			try {
				const page = await load(url);
				if (mine === turn) {
					for (const part of form.dataset.search.split(", ")) replace(document.querySelector(part), page, part);
					history.replaceState(null, "", url);
				}
			} catch { /* Enter sends the form as without this */ }
		}, 250);
	});
}
