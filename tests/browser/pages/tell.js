// What every page here has: a way to tell the test.
const tell = (report) =>
  fetch("http://127.0.0.1:REPORTS/", { method: "POST", mode: "no-cors", body: JSON.stringify(report) });
const told = (promise) =>
  promise.then(
    (value) => ({ value }),
    (error) => ({ error: error.name, code: error.code, status: error.status }),
  );
