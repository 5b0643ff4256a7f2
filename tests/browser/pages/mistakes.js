import { Terminald } from "/terminald.js";
const call = (token) => told(new Terminald(token, "http://localhost:PORT").get("/v1/status"));
tell({ none: await call(""), wrong: await call("x".repeat(43)) });
