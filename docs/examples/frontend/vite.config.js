import { defineConfig } from "vite";

const ownVersion = () => JSON.stringify({ version: process.env.VERSION || "dev" });

/** Gives the page its `/version.json`: a file of the build, so that a probe reads which build answers. */
function versionFile() {
  return {
    name: "version-file",
    generateBundle() {
      this.emitFile({ type: "asset", fileName: "version.json", source: `${ownVersion()}\n` });
    },
    configureServer(server) {
      const documents = { "/version.json": ownVersion(), "/config.json": '{"product": "Moorage (dev)"}' };
      server.middlewares.use((request, response, next) => {
        const document = documents[request.url];
        if (!document) return next();
        response.setHeader("Content-Type", "application/json");
        return response.end(document);
      });
    },
  };
}

export default defineConfig({
  plugins: [versionFile()],
  server: {
    host: "127.0.0.1",
    port: Number(process.env.FRONTEND_PORT || 5173),
    strictPort: true,
    proxy: { "/api": `http://127.0.0.1:${process.env.PORT || 8000}` },
  },
});
