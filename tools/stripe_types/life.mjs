// A subscriber's life through the official SDK for Node, at the sandbox whose address is the first argument:
// create, pay, renew, refund, dispute. Every webhook is verified by the SDK. Prints what was seen as JSON.
import { createServer } from "node:http";
import Stripe from "stripe";

const KEY = "sk_test_node_life";
const START = 1775044800;
const MONTH = 32 * 24 * 3600;
const PATIENCE_MS = 30000;
const at = new URL(process.argv[2]);
const stripe = new Stripe(KEY, { host: at.hostname, port: at.port, protocol: "http", maxNetworkRetries: 0 });

const until = async (what, true_) => {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await true_();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((done) => setTimeout(done, 50));
  }
};

const verified = [];
const refused = [];
let secret = "";
const receiver = createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    try {
      const event = stripe.webhooks.constructEvent(Buffer.concat(parts), request.headers["stripe-signature"], secret);
      verified.push(event.type);
      response.writeHead(200).end();
    } catch (problem) {
      refused.push(String(problem));
      response.writeHead(400).end();
    }
  });
});
await new Promise((ready) => receiver.listen(0, "127.0.0.1", ready));

const told = async () => {
  const events = [];
  for await (const event of stripe.events.list({ limit: 100 })) events.push(event);
  return events;
};
const earlier = new Set((await told()).map((event) => event.id));

const url = `http://127.0.0.1:${receiver.address().port}/hook`;
const endpoint = await stripe.webhookEndpoints.create({ url, enabled_events: ["*"] });
secret = endpoint.secret;

// Create and pay.
const clock = await stripe.testHelpers.testClocks.create({ frozen_time: START });
const customer = await stripe.customers.create({
  email: "kim@example.com",
  test_clock: clock.id,
  payment_method: "pm_card_visa",
  invoice_settings: { default_payment_method: "pm_card_visa" },
});
const product = await stripe.products.create({ name: "Plan" });
const price = await stripe.prices.create({
  product: product.id,
  currency: "usd",
  unit_amount: 2000,
  recurring: { interval: "month" },
});
const subscription = await stripe.subscriptions.create({
  customer: customer.id,
  items: [{ price: price.id }],
  expand: ["latest_invoice.payments"],
});

// Renew.
await stripe.testHelpers.testClocks.advance(clock.id, { frozen_time: START + MONTH });
await until("the clock", async () => (await stripe.testHelpers.testClocks.retrieve(clock.id)).status === "ready");
const invoices = [];
for await (const invoice of stripe.invoices.list({ subscription: subscription.id, limit: 1 })) invoices.push(invoice);

// Refund the renewal in part.
const paid = await stripe.invoicePayments.list({ invoice: invoices[0].id });
const refund = await stripe.refunds.create({ payment_intent: paid.data[0].payment.payment_intent, amount: 500 });

// Dispute another payment, and win; be declined once.
const payment = await stripe.paymentIntents.create({
  amount: 3000,
  currency: "usd",
  customer: customer.id,
  payment_method: "pm_card_createDispute",
  confirm: true,
});
const dispute = await until("the dispute", async () => {
  const found = await stripe.disputes.list({ payment_intent: payment.id });
  return found.data[0];
});
const closed = await stripe.disputes.update(dispute.id, {
  evidence: { uncategorized_text: "winning_evidence" },
  submit: true,
});
const decline = await stripe.paymentIntents
  .create({ amount: 100, currency: "usd", payment_method: "pm_card_chargeDeclined", confirm: true })
  .catch((problem) => ({ type: problem.type, code: problem.code, decline_code: problem.decline_code }));

const events = (await told()).filter((event) => !earlier.has(event.id)).map((event) => event.type);
await until("the webhooks", async () => verified.length >= events.length);
receiver.close();
process.stdout.write(
  JSON.stringify({
    api_version: stripe.getApiField("version"),
    subscription: subscription.status,
    first_payment: subscription.latest_invoice.payments.data[0].status,
    invoices: invoices.map((one) => [one.billing_reason, one.status, one.total]),
    refund: [refund.status, refund.amount],
    payment: payment.status,
    dispute: [dispute.status, closed.status],
    decline,
    told: [...new Set(verified)].sort(),
    undelivered: events.filter((type) => !verified.includes(type)),
    refused,
  }),
);
