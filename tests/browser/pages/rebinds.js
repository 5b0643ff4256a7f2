const headers = { Authorization: "Bearer TOKEN", "Content-Type": "application/json" };
const body = JSON.stringify({ reference: "rebound", amount: 1, subject: "x" });
await tell({ loaded: location.origin });
for (;;) {
  const answer = await told(fetch("/v1/sales", { method: "POST", body, headers }));
  // The stranger's server answers without JSON, as long as it is there.
  if (answer.value?.headers.get("Content-Type")?.includes("json")) {
    const said = await answer.value.json();
    const read = await (await fetch("/v1/status", { headers })).json();
    tell({ status: answer.value.status, type: answer.value.type, code: said.code, read: read.code });
    break;
  }
  await new Promise((resolve) => setTimeout(resolve, 100));
}
