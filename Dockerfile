# One image for gpu-agent, orchestrator, model-manager and gateway; the command chooses: node dist/apps/<app>/main.js.
# It has no llama.cpp: in containers the engine is a container of its own (docker-compose.yml).
ARG NODE_IMAGE=node:22-bookworm-slim

FROM ${NODE_IMAGE} AS build
LABEL dev.ollamesh.stage=build
WORKDIR /ollamesh
COPY package.json package-lock.json .npmrc ./
RUN npm ci
# No more than .dockerignore lets through.
COPY . .
RUN npm run build \
 && npm prune --omit=dev --omit=optional

FROM ${NODE_IMAGE}
ENV NODE_ENV=production
WORKDIR /ollamesh
COPY --from=build /ollamesh/package.json ./
COPY --from=build /ollamesh/node_modules node_modules
COPY --from=build /ollamesh/dist dist
COPY --from=build /ollamesh/services services
# The image's files belong to root: the apps run as somebody who cannot change them.
USER node
CMD ["node", "dist/apps/gateway/main.js"]
