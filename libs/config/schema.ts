/** The one schema of ollamesh's configuration; the loader fills it from file, environment and flags. */
import { ConfiguredKey, InferenceOptions, ModelName, OWN_PROVIDER, ProviderFeature, ProviderName, PullPolicy, isSubjectToken, normaliseModelName } from '#contracts';
import { z } from 'zod';
import { readTarget } from './target.js';

const NO_DURATION = 'is neither a duration such as "5m" nor a number of seconds';
/** A duration as Ollama spells it ("5m", "1h30m", "-1" for ever) or in seconds. */
const KeepAlive = z
  .union([z.number(), z.string().regex(/^-?(\d+(\.\d+)?(ms|s|m|h))+$|^-?\d+$/, NO_DURATION)], NO_DURATION)
  // Ollama takes seconds as a number only: it refuses the text "300" for want of a unit.
  .transform((value) => (typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value));
const Port = z.int().min(0).max(65_535);
const SubjectToken = z.string().refine(isSubjectToken, 'may hold letters, digits, "-" and "_" only');
const HttpUrl = z.url({ protocol: /^https?$/, error: 'is not an http(s) URL' }).transform((url) => url.replace(/\/+$/, ''));

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };
const NO_SIZE = 'is not a size of 128 MiB or more, such as "8g" or a number of bytes';
/** Bytes, or a number of them with a unit (k, m, g, t: powers of 1024). */
const MemorySize = z.union([z.number(), z.string()], NO_SIZE).transform((value, context) => {
  const [, digits, unit = ''] = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(String(value)) ?? [];
  const bytes = digits === undefined ? Number.NaN : Math.round(Number(digits) * (UNITS[unit.toLowerCase()] ?? Number.NaN));
  if (bytes >= 128 * 1024 ** 2 && bytes <= Number.MAX_SAFE_INTEGER) return bytes;
  context.addIssue({ code: 'custom', message: NO_SIZE });
  return z.NEVER;
});

/** [registry[:port]/]name[/name…][:tag][@digest], as Docker reads it. */
const IMAGE =
  /^(?:(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?\.)*[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?::\d{1,5})?\/)?[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*(?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$/;
/** Set by ollamesh itself: from `port`, `folder`, `parallel`, `keepAlive`. */
const OWN_ENV = ['OLLAMA_HOST', 'OLLAMA_MODELS', 'OLLAMA_NOPRUNE', 'OLLAMA_NUM_PARALLEL', 'OLLAMA_KEEP_ALIVE'];
const EnvName = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]{0,255}$/, 'is not the name of an environment variable')
  .refine((name) => !OWN_ENV.includes(name), `is set by ollamesh itself (${OWN_ENV.join(', ')} are)`);
const EnvValue = z.string().max(32_768).regex(/^[^\0\r\n]*$/, 'must be one line');
/** As the vendor's tools name them. */
const GpuDevice = z.string().regex(/^(?:(?:GPU|MIG)-[0-9a-fA-F-]{8,64}|\d{1,2})$/, 'is neither a GPU\'s UUID (GPU-…) nor its number');

const EngineSection = z.strictObject({
  /** Which kind of engine to use; `auto` looks at what is here and says why it chose. */
  driver: z.enum(['auto', 'docker', 'native', 'external', 'embedded']).default('auto'),
  /** An Ollama that runs already. */
  url: HttpUrl.optional(),
  /** A service definition to make the engine by: a path, git:<url>#<ref> or github:<owner>/<repository>, or "ollama", which comes with ollamesh. */
  service: z.string().min(1).max(500).optional(),
  /** Container image of the docker driver. */
  image: z.string().max(400).regex(IMAGE, 'is not an image name, such as "ollama/ollama:latest"').default('ollama/ollama:latest'),
  /** Loopback port of an engine we start; 0 lets the system pick one. */
  port: Port.default(0),
  /** Docker volume that holds the models. */
  volume: z
    .string()
    .max(255)
    .regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/, 'is not a volume name')
    .default('ollamesh-models'),
  /** A folder of this machine for the models instead of the volume; it is made if it is missing. */
  folder: z.string().regex(/^(?:\/|[A-Za-z]:[\\/])[^\0]*$/, 'is not an absolute path').optional(),
  /** More environment for an engine in a container or of Ollama itself. */
  env: z.record(EnvName, EnvValue).default({}),
  gpu: z
    .strictObject({
      /** `auto`: a GPU if one works, else the CPU. `required`: a GPU or no engine. `off`: the CPU. */
      use: z.enum(['auto', 'required', 'off']).default('auto'),
      /** Only these, by UUID or number; all that work if empty. */
      devices: z.array(GpuDevice).max(32).default([]),
    })
    .prefault({}),
  /** What a container may take at most. */
  limits: z.strictObject({ memory: MemorySize.optional(), cpus: z.number().min(0.1).max(4_096).optional() }).prefault({}),
  /** True: a container that we started runs on when ollamesh ends, and is adopted by the next start. */
  keepRunning: z.boolean().default(false),
  /** Generations at once per model. */
  parallel: z.int().min(1).max(1_024).default(4),
  /** How long a model stays in memory after its last use. */
  keepAlive: KeepAlive.default('5m'),
  /** How long an engine may take from start to its first answer, in milliseconds. */
  startTimeoutMs: z.int().positive().default(60_000),
});

const ModelsSection = z.strictObject({
  /** The model of a request that names none; the first required model, or the built-in guide, if not set. */
  default: ModelName.optional(),
  /** Models the engine must have before it counts as ready. */
  required: z.array(ModelName).default([]),
  /** False: required models that are missing are reported instead of pulled. */
  autoPull: z.boolean().default(true),
  /** What `autoPull` does at each start: `missing` pulls what is not here, `always` also asks for newer ones, `never` is `autoPull: false`. */
  pullPolicy: PullPolicy.default('missing'),
  /** Models pulled at once by one node; others wait in the order of asking. */
  parallelPulls: z.int().min(1).max(16).default(2),
  /** Models that are loaded as soon as the engine is ready, and stay in memory. */
  warm: z.array(ModelName).default([]),
  /** Models kept in memory at once, if they fit; the one idle for longest makes room. */
  maxResident: z.int().min(1).max(64).default(3),
  /** What holds for one model, by its name. */
  settings: z
    .record(
      ModelName,
      z.strictObject({
        /** How long it stays in memory after its last use. */
        keepAlive: KeepAlive.optional(),
        /** Its context length, whatever requests ask for. Without it the largest that was asked for stays, so that requests don't make the engine load it in turns. */
        contextLength: z.int().min(256).optional(),
        /** Ollama's options for requests that don't set them. */
        parameters: InferenceOptions.optional(),
      }),
    )
    .default({}),
  /** Requests that wait for their turn on one node. */
  queue: z
    .strictObject({
      /** Beyond so many they are refused with 429; one client may hold half of them. */
      length: z.int().min(2).max(100_000).default(1_000),
      /** How long one may wait, in milliseconds. */
      waitMs: z.int().min(1_000).default(120_000),
      /** How long requests for models in memory go before one that another model waits for, in milliseconds. */
      switchAfterMs: z.int().nonnegative().default(10_000),
    })
    .prefault({}),
});

const ProviderModel = z.string().min(1).max(256).regex(/^\S+$/, 'may hold no blanks');
/** Nothing in it is secret, and paths can be put behind it. What is no URL is refused as such. */
function isBareUrl(text: string): boolean {
  const { username = '', password = '', search = '', hash = '' } = URL.canParse(text) ? new URL(text) : {};
  return `${username}${password}${search}${hash}` === '';
}

const ONE_KEY = 'is either { env } or { file }';
const Provider = z.strictObject({
  type: z.literal('openai-compatible'),
  /** Base address, such as https://api.openai.com/v1. */
  url: HttpUrl.refine(isBareUrl, 'may hold no user, password or query: a key comes from key.env or key.file'),
  /** Where its key is read from whenever it is asked: it never stands in the configuration itself. */
  key: z
    .strictObject({
      /** An environment variable. */
      env: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,255}$/, 'is not the name of an environment variable').optional(),
      /** A file that holds nothing else; from the config file's folder. */
      file: z.string().min(1).optional(),
    })
    .refine(({ env, file }) => (env === undefined) !== (file === undefined), ONE_KEY)
    .optional(),
  /** How long it may be silent, before its answer and inside it, in milliseconds; its retries end then too. */
  timeoutMs: z.int().min(100).max(600_000).default(60_000),
  /** How often a request is made again that failed before its first word by 429, 5xx or its connection. */
  retries: z.int().min(0).max(5).default(2),
  /** What it answers with where it is named without a model. */
  defaultModel: ProviderModel.optional(),
  /** Its models that a request may name as `<provider>:<model>`; any if not set. */
  models: z.array(ProviderModel).optional(),
  /** What it can do beyond text: a request that needs more goes on to the next target. */
  features: z.array(ProviderFeature.exclude(['raw'])).default(['tools', 'images', 'format', 'logprobs', 'thinking', 'embeddings']),
  /** By its model's name, in US dollars. */
  prices: z
    .record(
      ProviderModel,
      z.strictObject({
        /** For a million tokens of prompts. */
        inputPerMillion: z.number().nonnegative().default(0),
        /** For a million tokens of answers. */
        outputPerMillion: z.number().nonnegative().default(0),
      }),
    )
    .default({}),
});
export type ProviderConfig = z.output<typeof Provider>;
const ProvidersSection = z.record(ProviderName.refine((name) => name !== OWN_PROVIDER, "is the mesh's own engine"), Provider).default({});

const TargetName = z.string().max(300).regex(/^[a-z][a-z0-9-]{0,39}(:\S+)?$/, 'is neither <provider> nor <provider>:<model>');
const DefaultRoute = z.union([TargetName.transform((target) => [target]), z.array(TargetName).min(1).max(8)], 'is neither a target nor a list of targets').optional();
const RoutingSection = z.strictObject({
  /** Where answers come from, in order, of requests that name no model, or `auto`: `ollama`, `<provider>`, or one of them with `:<model>`. Unless NODE_ENV is `production`. */
  development: DefaultRoute,
  /** The same where NODE_ENV is `production`. */
  production: DefaultRoute,
  /** Name → where its answers come from, in order: `ollama:<model>` or `<provider>:<model>`. */
  aliases: z.record(ModelName, z.array(TargetName).min(1).max(8)).default({}),
});

const GatewaySection = z.strictObject({
  host: z.string().min(1).default('127.0.0.1'),
  /** The next free port is taken, and said, if this one is in use. */
  port: Port.default(11_435),
  /**
   * Allows a `host` beyond loopback without any API key: whatever can reach that address is trusted, such as a container
   * network that is published on loopback only. The Host and Origin guards stay, and where there are keys they are asked for.
   */
  trustedNetwork: z.boolean().default(false),
  /** API keys beside those that `ollamesh keys` keeps in the data folder, as hashes: `ollamesh keys create --print` makes one. */
  keys: z.array(ConfiguredKey).default([]),
  /** Names by which clients may call this gateway (their `Host`), beside addresses, localhost, `*.local` and `*.internal`. */
  allowedHosts: z.array(z.string().regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/i, 'is not a host name')).default([]),
  /** Origins of other sites whose pages may use this gateway, such as https://app.example.com. */
  allowedOrigins: z.array(z.url({ protocol: /^https?$/, error: 'is not an origin such as https://app.example.com' }).transform((url) => url.replace(/\/+$/, ''))).default([]),
  /** Addresses or ranges (10.0.0.0/8) of proxies whose X-Forwarded-For says who asks. Nobody else's is believed. */
  trustedProxies: z.array(z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], 'is neither an IP address nor a range such as 10.0.0.0/8')).default([]),
  /** Whoever sends it as bearer token may cancel any stream. `ollamesh up` makes one and notes it in the run file. */
  operatorToken: z.string().min(16, 'must have 16 characters at least').optional(),
  /** Answers that were given before are given again, at once: to requests that always get the same (temperature 0, or a seed), or that ask for it. */
  cache: z
    .strictObject({
      enabled: z.boolean().default(true),
      /** Memory for answers, in bytes; the least recently used go first. */
      maxBytes: z.int().min(64 * 1024).default(64 * 1024 * 1024),
      /** How long an answer is kept, in milliseconds. */
      ttlMs: z.int().positive().default(3_600_000),
      /** One key's answers are given to others as well. False: each key (or address) has its own. */
      shared: z.boolean().default(false),
    })
    .prefault({}),
  limits: z
    .strictObject({
      /** Largest request body, in bytes. */
      bodyBytes: z.int().positive().default(20 * 1024 * 1024),
      /** Live and finished streams kept at once by one gateway. */
      streams: z.int().positive().default(1_000),
      /** How long a finished stream stays readable, in milliseconds. */
      finishedStreamMs: z.int().nonnegative().default(300_000),
      /** Memory for finished streams, in bytes; past it the one that ended first goes. */
      finishedStreamsBytes: z.int().positive().default(256 * 1024 * 1024),
      /** How long a stream made with `whenUnwatched: 'cancel'` may be without a viewer, in milliseconds. Viewers are counted every second. */
      unwatchedGraceMs: z.int().min(2_000).default(30_000),
      /** Sessions there may be at once; of the whole mesh where the bus has JetStream. */
      sessions: z.int().positive().default(1_000),
      /** How long a session is kept after its last change, in milliseconds. */
      sessionIdleMs: z.int().min(60_000).default(7 * 24 * 3_600_000),
      /** Members of one session, and as many watch links again. */
      sessionMembers: z.int().positive().default(100),
      /** Messages and bytes of one session's history; the oldest go first. */
      sessionHistoryMessages: z.int().min(2).default(200),
      sessionHistoryBytes: z.int().min(1_024).default(128 * 1024),
      /** Viewers of all streams at once, on every transport; more are refused. */
      viewers: z.int().positive().default(20_000),
      /** Bytes that may wait for one slow viewer: at half of them it gets no more until it has taken what waits, and then what it lacks, in pieces. */
      viewerBufferBytes: z.int().positive().default(1024 * 1024),
      /** How long a viewer may stay behind before it is disconnected, in milliseconds. */
      viewerStallMs: z.int().positive().default(30_000),
      /** Requests a minute of one API key, or of one address without one; as many at once after a quiet minute. */
      requestsPerMinute: z.int().positive().default(3_000),
      /** Of these, requests that make a model work. */
      inferencesPerMinute: z.int().positive().default(300),
      /** Tokens a minute that such requests may take, prompts included; counted when an answer ends. No limit if not set. */
      tokensPerMinute: z.int().positive().optional(),
      /** Answers that run at once for one key or address. */
      concurrentStreams: z.int().positive().default(64),
      /** Counts this machine's own user as well, who asks from loopback without a key. */
      limitLoopback: z.boolean().default(false),
      /** Text of one request's messages, prompt and system prompt, in bytes. */
      promptBytes: z.int().positive().default(4 * 1024 * 1024),
      /** Images of one request, and bytes of one image. */
      images: z.int().nonnegative().default(16),
      imageBytes: z.int().positive().default(10 * 1024 * 1024),
    })
    .prefault({}),
});

const BusSection = z.strictObject({
  /** An existing NATS server; without it `server` says what to start. */
  url: z.string().regex(/^(nats|tls):\/\//, 'is not a nats:// or tls:// URL').optional(),
  token: z.string().optional(),
  user: z.string().optional(),
  /** Better set as a variable, OLLAMESH_BUS_PASSWORD, than in a file that others read. */
  password: z.string().optional(),
  /** A user's JWT and key, as NATS's `nsc` writes them. */
  credentialsFile: z.string().min(1).optional(),
  /** For a tls:// URL: who vouches for the server, and what shows who we are. PEM files. */
  tls: z
    .strictObject({ caFile: z.string().min(1).optional(), certFile: z.string().min(1).optional(), keyFile: z.string().min(1).optional() })
    .prefault({}),
  /** `embedded`: our broker, in this process. `nats-server`: that program as a child, with JetStream. */
  server: z.enum(['embedded', 'nats-server']).default('embedded'),
  /** First token of every subject. */
  root: SubjectToken.default('ollamesh'),
});

/** Of apps that run as processes of their own; the gateway tells its metrics at its own address. */
const MetricsSection = z.strictObject({
  /** Port of /metrics, /health and /ready; none if not set, 0 lets the system pick one. */
  port: Port.optional(),
  /** Whoever can reach it may read: there are no keys here. */
  host: z.string().min(1).default('127.0.0.1'),
});

/** Of a mesh that commands start in the background. */
const BackgroundSection = z.strictObject({
  /** How long it runs on after the last command that uses it has ended, in milliseconds. */
  graceMs: z.int().min(0).max(2_147_483_647).default(30_000),
  /** Its log in the data folder, in bytes: past it the log begins anew, and one older part is kept. */
  logBytes: z.int().min(4_096).default(4 * 1024 * 1024),
});

const LogSection = z.strictObject({ level: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace']).default('warn') });

export const Config = z.strictObject({
  /** This machine's name on the bus. */
  node: SubjectToken.default('local'),
  /** Where ollamesh keeps its models and state; `~/.ollamesh` if not set. */
  dataDir: z.string().min(1).optional(),
  engine: EngineSection.prefault({}),
  models: ModelsSection.prefault({}),
  /** Servers elsewhere that answer for aliases, and by their own models' names. */
  providers: ProvidersSection,
  routing: RoutingSection.prefault({}),
  gateway: GatewaySection.prefault({}),
  bus: BusSection.prefault({}),
  metrics: MetricsSection.prefault({}),
  background: BackgroundSection.prefault({}),
  log: LogSection.prefault({}),
}).superRefine(({ providers, routing: { aliases, ...environments } }, context) => {
  const routes = [
    ...Object.entries(aliases).map(([alias, targets]) => ({ path: ['aliases', alias], targets })),
    ...Object.entries(environments).map(([environment, targets = []]) => ({ path: [environment], targets })),
  ];
  for (const { path, targets } of routes) {
    for (const [index, target] of targets.entries()) {
      const message = problemOfTarget(target, providers);
      if (message !== undefined) context.addIssue({ code: 'custom', path: ['routing', ...path, index], message });
    }
  }
});

function problemOfTarget(target: string, providers: Readonly<Record<string, ProviderConfig>>): string | undefined {
  const { provider: name, model } = readTarget(target);
  if (name === OWN_PROVIDER) return model === undefined || normaliseModelName(model) !== undefined ? undefined : `names ${JSON.stringify(model)}, which is not a model name`;
  const provider = Object.hasOwn(providers, name) ? providers[name] : undefined;
  if (!provider) return `names "${name}", which is not in providers`;
  return model === undefined && provider.defaultModel === undefined ? `names no model, and providers.${name} has no defaultModel` : undefined;
}

/** What a config file may hold. */
export type ConfigInput = z.input<typeof Config>;
/** The validated configuration, defaults filled in. */
export type Config = z.output<typeof Config>;
/** What the loader returns: it also knows this machine. `dataDir` is absolute. */
export type LoadedConfig = Config & { readonly dataDir: string };
export type EngineConfig = Config['engine'];
export type GatewayConfig = Config['gateway'];
