// Moves the threshold over the scores in the page; nothing leaves it and nothing is kept.
(function () {
  "use strict";
  var byId = function (id) { return document.getElementById(id); };
  var data = JSON.parse(byId("scores-data").textContent);
  var STEPS = 1000;
  var low = data.log ? Math.log(data.x[0]) : data.x[0];
  var high = data.log ? Math.log(data.x[1]) : data.x[1];
  var images = data.images.map(function (row) { return { score: row[0], bad: row[1] === 1, name: row[2] }; });
  var scores = images.map(function (image) { return image.score; }).sort(function (a, b) { return a - b; });
  var slider = byId("threshold"), now = data.threshold;

  function place(value) { return ((data.log ? Math.log(value) : value) - low) / (high - low); }
  function value(share) { var x = low + share * (high - low); return data.log ? Math.exp(x) : x; }
  function stepOf(threshold) { return Math.round(STEPS * Math.min(1, Math.max(0, place(threshold)))); }
  // As Python rounds the page's other numbers: what lies exactly between two goes to the even one.
  function fixed(number, places) {
    var scale = Math.pow(10, places), below = Math.floor(number * scale);
    var between = number * Math.pow(2, places + 1) % 2 === 1;
    return (between && below % 2 === 0 ? below / scale : number).toFixed(places);
  }
  function percent(part, whole) {  // three digits
    if (!whole) { return "n/a"; }
    var share = 100 * (part / whole);
    return (part === 0 || part === whole ? share : +fixed(share, 2 - Math.floor(Math.log10(share)))) + " %";
  }
  function ratio(part, whole) { return whole ? fixed(part / whole, 3) : "n/a"; }
  function counted(count, one, many) { return count + " " + (count === 1 ? one : many); }

  function count(threshold) {
    var c = { caught: 0, missed: 0, alarms: 0, passed: 0 };
    images.forEach(function (image) {
      var called = image.score > threshold;
      c[image.bad ? (called ? "caught" : "missed") : (called ? "alarms" : "passed")] += 1;
    });
    c.defects = c.caught + c.missed;
    c.good = c.alarms + c.passed;
    c.called = c.caught + c.alarms;
    return c;
  }

  function dot(id, x, y, shown) {
    var mark = byId(id);
    if (!mark) { return; }
    mark.hidden = !shown;
    var box = mark.dataset;
    mark.style.left = 100 * (+box.left + box.width * x) + "%";
    mark.style.top = 100 * (+box.top + box.height * (1 - y / box.high)) + "%";
  }

  function list(id, title, names) {
    var target = byId(id), most = 8;
    target.textContent = names.length ? title + ": " + names.slice(0, most).join(", ") +
      (names.length > most ? " and " + (names.length - most) + " more" : "") : "";
  }

  function say(c, first) {
    if (now === data.threshold) { return "This is the calibrated threshold."; }
    var caught = c.caught - first.caught, alarms = c.alarms - first.alarms, words = [];
    if (c.defects) { words.push(caught === 0 ? "as many defects caught" :
      counted(Math.abs(caught), "defect", "defects") + (caught > 0 ? " more caught" : " fewer caught")); }
    if (c.good) { words.push(alarms === 0 ? "as many false alarms" :
      counted(Math.abs(alarms), "false alarm", "false alarms") + (alarms > 0 ? " more" : " fewer")); }
    return "Here: " + words.join(", ") + ".";
  }

  function show() {
    var moved = now !== data.threshold, c = count(now), first = count(data.threshold);
    var cells = {
      threshold: String(+now.toPrecision(4)), caught: c.defects ? c.caught : "n/a",
      missed: c.defects ? c.missed : "n/a", escapes: percent(c.missed, c.defects),
      alarms: c.good ? c.alarms : "n/a", rate: percent(c.alarms, c.good),
      precision: ratio(c.caught, c.called),
      f1: c.defects ? ratio(2 * c.caught, 2 * c.caught + c.alarms + c.missed) : "n/a"
    };
    Object.keys(cells).forEach(function (key) { byId("now-" + key).textContent = cells[key]; });
    byId("moved").textContent = say(c, first);
    slider.setAttribute("aria-valuetext", cells.threshold + ": " + cells.missed + " missed, " +
      cells.alarms + " false alarms");
    var line = byId("line"), x = place(now);
    line.hidden = !moved || x < 0 || x > 1;
    line.style.left = 100 * (+line.dataset.left + line.dataset.width * x) + "%";
    dot("roc-dot", c.good ? c.alarms / c.good : 0, c.defects ? c.caught / c.defects : 0, moved);
    dot("pr-dot", c.defects ? c.caught / c.defects : 0, c.called ? c.caught / c.called : 0, moved && c.called > 0);
    byId("reset").disabled = !moved;
    byId("lower").disabled = scores[0] > now;
    byId("higher").disabled = scores[scores.length - 1] <= now;
    var changed = images.filter(function (i) { return (i.score > now) !== (i.score > data.threshold); });
    var names = function (bad) {
      return changed.filter(function (i) { return i.bad === bad; }).map(function (i) { return i.name; });
    };
    var up = now > data.threshold;
    list("changed-bad", up ? "No longer caught" : "Now caught too", names(true));
    list("changed-good", up ? "No longer false alarms" : "Now false alarms too", names(false));
  }

  // Between two neighbouring scores, so that exactly the images of one score change.
  function next(direction) {
    var above = scores.filter(function (s) { return s > now; });
    var below = scores.filter(function (s) { return s <= now; });
    var edge = direction > 0 ? above[0] : below[below.length - 1];
    var beyond = direction > 0 ? above.filter(function (s) { return s > edge; })[0]
      : below.filter(function (s) { return s < edge; }).pop();
    var gap = 1e-6 * Math.max(Math.abs(edge), 1e-30);
    now = beyond === undefined ? edge + direction * gap : edge + (beyond - edge) / 2;
    if (direction > 0 && beyond !== undefined && now >= beyond) { now = edge; }
    slider.value = stepOf(now);
    show();
  }

  slider.max = STEPS;
  slider.value = stepOf(now);
  slider.addEventListener("input", function () {
    var step = +slider.value;
    now = step === stepOf(data.threshold) ? data.threshold : value(step / STEPS);
    show();
  });
  byId("reset").addEventListener("click", function () {
    now = data.threshold;
    slider.value = stepOf(now);
    show();
    slider.focus();
  });
  byId("lower").addEventListener("click", function () { next(-1); });
  byId("higher").addEventListener("click", function () { next(1); });
  document.querySelectorAll(".live").forEach(function (part) { part.hidden = false; });
  show();
}());
