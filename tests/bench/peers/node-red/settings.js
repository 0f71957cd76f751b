// SPDX-License-Identifier: Apache-2.0
//
// Node-RED as `make bench` measures it: the runtime alone. It has no editor, no accounts and no
// projects, keeps nothing on the disk but what it must, and listens where it is told.
module.exports = {
  uiHost: "127.0.0.1",
  uiPort: Number(process.env.LISTEN_PORT),
  userDir: process.env.FOLDER,
  flowFile: require("node:path").join(__dirname, "flows.json"),
  disableEditor: true,
  httpAdminRoot: false,
  credentialSecret: false,
  nodesDir: [],
  externalModules: { autoInstall: false, palette: { allowInstall: false }, modules: { allowInstall: false } },
  telemetry: { enabled: false, updateNotification: false },
  diagnostics: { enabled: false },
  runtimeState: { enabled: false },
  logging: { console: { level: "info", metrics: false, audit: false } },
};
