/** The embedded NATS broker's public face. */
export { type Broker, type BrokerStats, startBroker } from './broker.js';
export type { BrokerEvent, BrokerOptions, ClientFacts, SlowConsumerEvent } from './options.js';
export type { LocalClient, LocalMessage, LocalSubscription } from './local-client.js';
