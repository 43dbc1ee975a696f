# The gateway as it runs from a checkout: TypeScript on the image's own Node.js 26, no build step.
FROM node:26-slim AS dependencies
WORKDIR /bursar
COPY package.json package-lock.json ./
# Without install scripts: the `node` package would only add a second runtime beside the image's.
RUN npm ci --omit=dev --ignore-scripts

FROM node:26-slim
ENV NODE_ENV=production \
    BURSAR_HOST=0.0.0.0 \
    BURSAR_ADMIN_HOST=0.0.0.0 \
    BURSAR_DATA_DIR=/data
WORKDIR /bursar
RUN mkdir /data && chown node:node /data
COPY --from=dependencies /bursar/node_modules node_modules
COPY package.json ./
COPY bin bin
COPY migrations migrations
COPY plugins plugins
COPY src src
USER node
VOLUME /data
EXPOSE 8080 8081
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8080/readyz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# Node.js itself is process 1, so that it receives the signals of a stop.
CMD ["node", "src/main.ts", "serve"]
