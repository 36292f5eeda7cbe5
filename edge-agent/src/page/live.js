(function () {
  'use strict';
  var d = document, stream = null, timer = 0, loading = false, again = false;
  function id(name) { return d.getElementById(name); }
  // The policy of a document counts for as long as it is shown: it names this origin for forms.
  var target = id('page').dataset.target;
  // Some browsers of sign-in windows keep nothing; then a rescan can't find its session again.
  function storage(use) { try { return use(localStorage); } catch (e) { return null; } }
  function remember(path) { storage(function (s) { s.setItem('session', path); }); }
  function forget() { storage(function (s) { s.removeItem('session'); }); }
  function clock(seconds) { return Math.floor(seconds / 60) + ':' + ('0' + seconds % 60).slice(-2); }

  function arm() {
    var page = id('page'), want = page.dataset;
    if (want.resume) {
      var path = storage(function (s) { return s.getItem('session'); }) || '';
      if (/^\/s\/[0-9a-f]{32}$/.test(path)) { location.replace(path); return; }
    }
    if (want.forget) forget(); else if (want.events) remember(location.pathname);
    clearTimeout(timer);
    if (want.refresh) timer = setTimeout(load, want.refresh * 1000);
    if (want.events && !stream && window.EventSource) {
      stream = new EventSource(location.pathname + '/events?after=' + want.events);
      stream.onmessage = load;
    } else if (!want.events && stream) { stream.close(); stream = null; }
    page.querySelectorAll('[data-step]').forEach(function (b) { b.hidden = false; });
    page.querySelectorAll('time[datetime]').forEach(function (t) {
      var at = new Date(t.getAttribute('datetime'));
      if (!isNaN(at)) t.textContent = at.toLocaleString(d.documentElement.lang, { dateStyle: 'medium', timeStyle: 'short' });
    });
  }

  function load() {
    if (loading) { again = true; return; }
    loading = true;
    fetch(location.pathname, { cache: 'no-store' })
      .then(function (answer) { return answer.text(); })
      .then(function (text) { id('lost').hidden = true; show(text); })
      .catch(function () { id('lost').hidden = false; timer = setTimeout(load, 2000); })
      .then(function () {
        loading = false;
        if (again) { again = false; setTimeout(load, 300); }
      });
  }

  function show(text) {
    var fresh = new DOMParser().parseFromString(text, 'text/html'), next = fresh.getElementById('page');
    if (!next) { timer = setTimeout(load, 2000); return; }
    if (next.dataset.target && next.dataset.target !== target) { location.reload(); return; }
    var old = id('page');
    if (next.dataset.key === old.dataset.key) {
      ['events', 'refresh'].forEach(function (name) {
        if (next.dataset[name]) old.dataset[name] = next.dataset[name]; else delete old.dataset[name];
      });
      var left = next.querySelector('[data-left]'), shown = old.querySelector('[data-left]');
      if (left && shown) shown.dataset.left = left.dataset.left;
    } else {
      old.replaceWith(next);
      d.title = fresh.title;
      id('heard').textContent = next.querySelector('h1').textContent;
      next.querySelector('h1').focus();
    }
    arm();
  }

  setInterval(function () {
    var left = d.querySelector('[data-left]');
    if (!left) return;
    var seconds = Number(left.dataset.left) - 1;
    if (seconds < 0) return;
    left.dataset.left = seconds;
    left.textContent = clock(seconds);
    if (seconds === 0) setTimeout(load, 1000);
  }, 1000);

  d.addEventListener('click', function (event) {
    var step = event.target.closest('[data-step]');
    if (!step) return;
    var field = step.parentNode.querySelector('input');
    var value = (parseInt(field.value, 10) || 0) + Number(step.dataset.step);
    field.value = Math.max(0, Math.min(Number(field.max), value));
  });
  d.addEventListener('submit', function (event) {
    // After the browser has read the form: a disabled button sends nothing.
    setTimeout(function () {
      event.target.querySelectorAll('button').forEach(function (b) { b.disabled = true; });
    });
  });
  // Back from the payment page: the browser may show what it remembers.
  window.addEventListener('pageshow', function (event) { if (event.persisted) location.reload(); });
  d.addEventListener('visibilitychange', function () { if (!d.hidden && id('page').dataset.events) load(); });
  arm();
})();
