"use strict";
// Everything is readable without this script: it sorts tables, filters pairs and opens what is printed.
for (const head of document.querySelectorAll("main table:not(.whatif, .matrix) thead th")) {
  const table = head.closest("table");
  if (table.tBodies[0].rows.length < 3) continue;
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "descending" ||
      (!head.hasAttribute("aria-sort") && !head.classList.contains("numeric"));
    const column = [...head.parentNode.children].indexOf(head);
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "ascending" : "descending");
    const key = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent;
    const numeric = head.classList.contains("numeric");
    const rows = [...table.tBodies[0].rows].sort((a, b) => {
      if (!numeric) return key(a).localeCompare(key(b));
      const [left, right] = [parseFloat(key(a)), parseFloat(key(b))];
      if (Number.isNaN(left) || Number.isNaN(right)) return Number.isNaN(left) - Number.isNaN(right);
      return left - right;
    });
    table.tBodies[0].append(...(down ? rows : rows.reverse()));
  });
}

for (const number of document.querySelectorAll("data[value]")) number.title = number.value;

const list = document.getElementById("pair-list");
if (list) {
  const pairs = [...list.children];
  const language = document.getElementById("pair-language");
  const text = document.getElementById("pair-text");
  const count = document.getElementById("pair-count");
  const filter = () => {
    const wanted = text.value.trim().toLowerCase();
    let shown = 0;
    for (const pair of pairs) {
      const named = pair.querySelector("summary").textContent.toLowerCase();
      pair.hidden = (language.value && pair.dataset.language !== language.value) || !named.includes(wanted);
      shown += !pair.hidden;
    }
    count.textContent = `${shown} of ${pairs.length}`;
  };
  for (const same of list.querySelectorAll(".same")) {
    same.closest("details").addEventListener("toggle", () => {
      const code = document.getElementById(same.dataset.code).cloneNode(true);
      code.removeAttribute("id");
      same.replaceWith(code);
    }, { once: true });
  }
  language.addEventListener("change", filter);
  text.addEventListener("input", filter);
  list.parentElement.querySelector(".filters").hidden = false;
  filter();
}

let opened = [];
addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details.more:not([open])")];
  for (const details of opened) details.open = true;
});
addEventListener("afterprint", () => {
  for (const details of opened) details.open = false;
});

// What if: the same problem as analysis/problem.py, by the same mirror descent (analysis/simplex.py).
const whatif = document.getElementById("whatif");
if (whatif) {
  const model = JSON.parse(whatif.dataset.model);
  const count = model.languages.length;
  const decay = model.decay;
  const tau = model.languages.map((target) => model.languages.map((other) =>
    target.id === other.id ? 0 : model.transfer?.[target.id]?.[other.id] ?? 0));
  const prior = model.languages.map((row) => model.prior?.[row.id] ?? 1 / count);

  const projected = (logs, low, high) => {
    let [bottom, top] = [Infinity, -Infinity];
    for (let k = 0; k < count; k++) {
      bottom = Math.min(bottom, Math.log(Math.max(low[k], 1e-300)) - logs[k]);
      top = Math.max(top, Math.log(Math.max(high[k], 1e-300)) - logs[k]);
    }
    const at = (factor) => logs.map((log, k) => Math.min(Math.max(Math.exp(log + factor), low[k]), high[k]));
    for (let i = 0; i < 60; i++) {
      const middle = (bottom + top) / 2;
      if (at(middle).reduce((a, b) => a + b) > 1) top = middle; else bottom = middle;
    }
    return at((bottom + top) / 2);
  };

  const dataOf = (asked, tokens) => {
    const worth = [], slope = [];
    tokens.forEach((own, k) => {
      const unique = asked.unique[k];
      const fade = Math.exp(-Math.max(own / unique - 1, 0) / decay);
      worth.push(own > unique ? unique * (1 + decay * (1 - fade)) : own);
      slope.push(fade);
    });
    const free = [];
    const data = worth.map((own, i) => {
      let sum = own + model.languages[i].given * asked.scale;
      const least = Math.max(0.05 * sum, 1);
      for (let j = 0; j < count; j++) sum += tau[i][j] * worth[j];
      free.push(sum > least);
      return Math.max(sum, least);
    });
    return { data, slope, free };
  };

  const losses = (asked, terms, tokens) => dataOf(asked, tokens).data.map((own, k) =>
    terms[k][0] + Math.exp(terms[k][1] - terms[k][2] * Math.log(own)));

  const objective = (asked, terms, shares) => {
    const { data, slope, free } = dataOf(asked, shares.map((share) => share * asked.budget));
    let value = 0;
    const falls = data.map((own, k) => {
      const term = Math.exp(terms[k][1] - terms[k][2] * Math.log(own));
      value += asked.weights[k] * (terms[k][0] + term);
      return asked.weights[k] * terms[k][2] * term / own;
    });
    const gradient = shares.map((share, k) => {
      let gain = falls[k] * (free[k] ? 1 : 0.05);
      for (let i = 0; i < count; i++) if (free[i]) gain += falls[i] * tau[i][k];
      let cost = -gain * slope[k] * asked.budget;
      if (model.prior_weight) {
        value += model.prior_weight * share * Math.log(share / prior[k]);
        cost += model.prior_weight * (Math.log(share / prior[k]) + 1);
      }
      return cost;
    });
    return { value, gradient };
  };

  const gapOf = (shares, gradient, low, high) => {
    let left = 1 - low.reduce((a, b) => a + b);
    const corner = [...low];
    for (const k of [...gradient.keys()].sort((a, b) => gradient[a] - gradient[b])) {
      const given = Math.min(Math.max(left, 0), high[k] - low[k]);
      corner[k] += given;
      left -= given;
    }
    return Math.max(gradient.reduce((sum, g, k) => sum + g * (shares[k] - corner[k]), 0), 0);
  };

  const solve = (asked, terms, start) => {
    const high = asked.caps.map((cap) => Math.min(cap / asked.budget, 1));
    const low = high.map((most, k) => Math.min(Math.max(1e-9, asked.floors[k] / asked.budget), most));
    let shares = projected(start.map(Math.log), low, high);
    let { value, gradient } = objective(asked, terms, shares);
    let gap = gapOf(shares, gradient, low, high);
    const mean = gradient.reduce((a, b) => a + b) / count;
    let length = 0.5 / Math.max(...gradient.map((g) => Math.abs(g - mean)), 1e-300);
    for (let step = 0, failures = 0; step < 400 && failures < 40 && gap > 1e-9 * Math.abs(value); step++) {
      const centre = gradient.reduce((sum, g, k) => sum + g * shares[k], 0);
      const logs = shares.map((share, k) =>
        Math.log(share) - Math.min(Math.max(length * (gradient[k] - centre), -30), 30));
      const tried = projected(logs, low, high);
      const next = objective(asked, terms, tried);
      const promised = gradient.reduce((sum, g, k) => sum + g * (tried[k] - shares[k]), 0);
      const nextGap = gapOf(tried, next.gradient, low, high);
      if (next.value <= value + 1e-4 * promised || (next.value <= value + 4e-15 * Math.abs(value) && nextGap < gap)) {
        [shares, value, gradient, gap] = [tried, next.value, next.gradient, nextGap];
        length *= 2;
        failures = 0;
      } else {
        length *= 0.4;
        failures += 1;
      }
    }
    return shares;
  };

  const uniform = (asked) => {
    const at = (level) => asked.caps.map((cap, k) => Math.min(Math.max(level, asked.floors[k]), cap));
    let [below, above] = [0, asked.budget];
    for (let step = 0; step < 100; step++) {
      const level = (below + above) / 2;
      if (at(level).reduce((a, b) => a + b) < asked.budget) below = level; else above = level;
    }
    return at(above);
  };

  const number = (text) => {
    const found = /^([\d.]+(?:e[+-]?\d+)?)\s*([kmbt]?)$/i.exec(text.trim().replaceAll(",", "").replaceAll("_", ""));
    const value = found ? Number(found[1]) * { "": 1, k: 1e3, m: 1e6, b: 1e9, t: 1e12 }[found[2].toLowerCase()] : NaN;
    return value > 0 ? value : NaN;
  };
  const short = (value) => {
    for (const [factor, sign] of [[1e12, "T"], [1e9, "B"], [1e6, "M"], [1e3, "k"]])
      if (value >= factor) return `${Number((value / factor).toPrecision(3))}${sign}`;
    return String(Math.round(value));
  };
  const percent = (value) => `${(100 * value).toFixed(1)} %`;
  const signed = (value) => `${value >= 0 ? "+" : "−"}${Number(Math.abs(value).toPrecision(3))}`;
  const quantile = (sorted, part) => {
    const place = part * (sorted.length - 1), below = Math.floor(place);
    return sorted[below] + (place - below) * ((sorted[below + 1] ?? sorted[below]) - sorted[below]);
  };
  const ends = (values) => {
    const sorted = [...values].sort((a, b) => a - b);
    return model.tails.map((part) => quantile(sorted, part));
  };

  const rows = [...whatif.querySelectorAll("tbody tr")];
  const budget = document.getElementById("whatif-budget");
  const epochs = document.getElementById("whatif-epochs");
  const words = document.getElementById("whatif-words");
  const inputs = [...whatif.querySelectorAll("input")];
  const recommended = inputs.map((input) => input.value);
  const drawn = Math.min(...model.languages.map((row) => row.draws.length));
  const beside = Object.values(model.beside).reduce((a, b) => a + b, 0) / model.budget;

  const compute = () => {
    for (const input of inputs) {
      const bad = !(input.classList.contains("unique") && input.value.trim() === "") && Number.isNaN(number(input.value));
      input.setAttribute("aria-invalid", bad);
    }
    if (inputs.some((input) => input.getAttribute("aria-invalid") === "true")) {
      words.textContent = "A number above 0 is missing where a field is marked; write 2B, 350M or 1.5e9.";
      return;
    }
    const total = number(budget.value);
    const weights = rows.map((row) => number(row.querySelector(".weight").value));
    const unique = rows.map((row) => {
      const text = row.querySelector(".unique").value.trim();
      return text === "" ? Infinity : number(text);
    });
    const asked = {
      budget: total * (1 - beside),
      scale: total / model.budget, // shares of parallel documents stay, so their tokens grow with the budget
      weights: weights.map((weight) => weight / weights.reduce((a, b) => a + b)),
      unique,
    };
    asked.floors = model.languages.map((row) => row.least * total);
    asked.caps = unique.map((own, k) =>
      Math.min(own * number(epochs.value), asked.budget, (model.languages[k].most ?? 1) * total));
    const lacking = model.languages.filter((row, k) => asked.floors[k] > asked.caps[k] * (1 + 1e-9));
    if (lacking.length) {
      words.textContent = `There is too little ${lacking.map((row) => row.name).join(" and ")} for its least or fixed share.`;
      return;
    }
    const available = asked.caps.reduce((a, b) => a + b);
    if (available < asked.budget * (1 - 1e-12)) {
      words.textContent = `There are ${short(available)} tokens at most; lower the budget, or raise caps or epochs.`;
      return;
    }
    const estimate = model.languages.map((row) => row.estimate);
    const best = solve(asked, estimate, new Array(count).fill(1 / count));
    const even = uniform(asked);
    const mean = (terms, tokens) => losses(asked, terms, tokens).reduce((sum, l, k) => sum + l * asked.weights[k], 0);
    const tokens = best.map((share) => share * asked.budget);
    const predicted = losses(asked, estimate, tokens);
    const gains = [], shares = model.languages.map(() => []);
    for (let draw = 0; draw < drawn; draw++) {
      const terms = model.languages.map((row) => row.draws[draw]);
      gains.push(mean(terms, even) - mean(terms, tokens));
      solve(asked, terms, best).forEach((share, k) => shares[k].push(share * (1 - beside)));
    }
    rows.forEach((row, k) => {
      const share = best[k] * (1 - beside);
      row.querySelector("rect").setAttribute("width", `${(100 * share).toFixed(2)}%`);
      const texts = { share: percent(share), tokens: short(tokens[k]), predicted: predicted[k].toFixed(3) };
      [texts.low, texts.high] = drawn ? ends(shares[k]).map(percent) : ["", ""];
      for (const [name, text] of Object.entries(texts)) row.querySelector(`.${name}`).textContent = text;
      row.dataset.share = share;
    });
    const gain = mean(estimate, even) - mean(estimate, tokens);
    whatif.dataset.gain = gain;
    const interval = drawn ? ends(gains) : null;
    words.textContent = `Predicted mean loss ${mean(estimate, tokens).toFixed(4)} ${model.unit}, uniform ` +
      `${mean(estimate, even).toFixed(4)}: ${signed(gain)} saved` +
      (interval ? `, 95% interval ${signed(interval[0])} to ${signed(interval[1])}` : "") +
      (interval && interval[0] <= 0 ? "; whether this beats uniform is open." : ".");
  };
  let waiting = 0;
  for (const input of inputs) input.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(compute, 150);
  });
  document.getElementById("whatif-even").addEventListener("click", () => {
    for (const row of rows) row.querySelector(".weight").value = "1";
    compute();
  });
  document.getElementById("whatif-reset").addEventListener("click", () => {
    inputs.forEach((input, place) => { input.value = recommended[place]; });
    compute();
  });
  whatif.querySelector(".filters").hidden = false;
  compute();
}
