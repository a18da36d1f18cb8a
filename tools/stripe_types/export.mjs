// Compiles the type declarations of the npm package "stripe" into one JSON Schema (2020-12).
//
// usage: node export.mjs [output file]      (default: .cache/stripe_types.json of the repository)
//
// Every interface that namespace Stripe exports becomes a definition, and so does everything it
// reaches. Kept apart: `field?: T` (may be absent) and `field: T | null` (may be null).
// Enumerations that the package leaves open for old clients are closed, unknown fields are
// refused. The v2 API is left out. "x-objects" maps an `object` value to its definitions, "x-events" an event type to
// the definition that binds it to the class of its data. Request parameters are left out: the
// Python package is the source for those.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import ts from "typescript";
import {
  apiVersion,
  declarationOf,
  fail,
  here,
  nameOf,
  packageFolder,
  publicNames,
  readNames,
  symbolAt,
} from "./declarations.mjs";

const output = resolve(process.argv[2] ?? resolve(here, "../../.cache/stripe_types.json"));

const DECIMAL = { type: "string", pattern: "^-?[0-9]+(\\.[0-9]+)?$" };
const NEVER = Symbol("a type without values");
const OPEN = Symbol("any other string, for clients older than the value");

const definitions = new Map(); // definition name -> schema
const pending = []; // [definition name, function that builds it]

function reference(name, build) {
  if (!definitions.has(name)) {
    definitions.set(name, null);
    pending.push([name, build]);
  }
  return { $ref: `#/$defs/${name.replaceAll("~", "~0").replaceAll("/", "~1")}` };
}

function union(schemas) {
  const kept = schemas.filter((schema) => schema !== NEVER && schema !== OPEN);
  if (kept.length === 0) return schemas.includes(OPEN) ? { type: "string" } : NEVER;
  const values = kept.flatMap((schema) => schema.enum ?? []);
  const others = new Map();
  for (const schema of kept) {
    if (!schema.enum) others.set(JSON.stringify(schema), schema);
  }
  const parts = [...(values.length ? [{ enum: [...new Set(values)] }] : []), ...others.values()];
  return parts.length === 1 ? parts[0] : { anyOf: parts };
}

// The options of a union, with the aliases that stand for unions written out.
function optionsOf(node, scope) {
  if (ts.isUnionTypeNode(node)) return node.types.flatMap((type) => optionsOf(type, scope));
  if (ts.isParenthesizedTypeNode(node)) return optionsOf(node.type, scope);
  const schema = singleSchema(node, scope);
  return schema.anyOf ?? [schema];
}

function schemaOf(node, scope) {
  return union(optionsOf(node, scope));
}

function literalSchema(node) {
  const { literal } = node;
  if (literal.kind === ts.SyntaxKind.NullKeyword) return { type: "null" };
  if (literal.kind === ts.SyntaxKind.TrueKeyword) return { enum: [true] };
  if (literal.kind === ts.SyntaxKind.FalseKeyword) return { enum: [false] };
  if (ts.isStringLiteral(literal)) return { enum: [literal.text] };
  if (ts.isNumericLiteral(literal)) return { enum: [Number(literal.text)] };
  return fail("unknown literal", node);
}

const KEYWORDS = new Map([
  [ts.SyntaxKind.StringKeyword, { type: "string" }],
  [ts.SyntaxKind.NumberKeyword, { type: "number" }],
  [ts.SyntaxKind.BooleanKeyword, { type: "boolean" }],
  [ts.SyntaxKind.ObjectKeyword, { type: "object" }],
  [ts.SyntaxKind.AnyKeyword, {}],
  [ts.SyntaxKind.UnknownKeyword, {}],
  [ts.SyntaxKind.VoidKeyword, NEVER],
  [ts.SyntaxKind.UndefinedKeyword, NEVER],
  [ts.SyntaxKind.NeverKeyword, NEVER],
]);

function singleSchema(node, scope) {
  if (KEYWORDS.has(node.kind)) return KEYWORDS.get(node.kind);
  if (ts.isLiteralTypeNode(node)) return literalSchema(node);
  if (ts.isArrayTypeNode(node)) return { type: "array", items: schemaOf(node.elementType, scope) };
  if (ts.isTypeLiteralNode(node)) return objectSchema(membersOf(node.members, scope));
  if (ts.isTypeReferenceNode(node)) return referenceSchema(node, scope);
  return fail("unknown kind of type", node);
}

// References that mean the same wherever they are declared (or are not declared: no library).
const BUILT_IN = {
  Array: ([item], scope) => ({ type: "array", items: schemaOf(item, scope) }),
  Decimal: () => DECIMAL,
  Date: () => ({ type: "string", format: "date-time" }),
  OtherString: () => OPEN,
  Partial: ([type], scope) => partialSchema(type, scope),
};

function referenceSchema(node, scope) {
  const text = node.typeName.getText();
  if (scope.has(text)) return scope.get(text).schema;
  const builtIn = BUILT_IN[text];
  if (builtIn) return builtIn(node.typeArguments ?? [], scope);
  const symbol = symbolAt(node.typeName);
  const alias = declarationOf(symbol, ts.isTypeAliasDeclaration);
  if (alias) return schemaOf(alias.type, argumentsOf(alias, node, scope));
  const declaration = declarationOf(symbol, ts.isInterfaceDeclaration);
  if (!declaration) return fail("neither interface nor alias", node);
  return interfaceReference(symbol, declaration, argumentsOf(declaration, node, scope));
}

function interfaceReference(symbol, declaration, inner) {
  const suffix = [...inner.values()].map((argument) => argument.name).join(", ");
  const name = nameOf(symbol) + (suffix ? `<${suffix}>` : "");
  return reference(name, () => objectSchema(interfaceMembers(declaration, inner)));
}

function argumentsOf(declaration, node, scope) {
  const inner = new Map();
  (declaration.typeParameters ?? []).forEach((parameter, index) => {
    const argument = node.typeArguments?.[index] ?? parameter.default;
    if (!argument) fail("type argument missing", node);
    const name = scope.get(argument.getText())?.name ?? argumentName(argument);
    inner.set(parameter.name.text, { name, schema: schemaOf(argument, scope) });
  });
  return inner;
}

function argumentName(node) {
  const symbol = symbolAt(node.typeName);
  return symbol ? nameOf(symbol) : node.getText();
}

// Partial<T>, of which Stripe's `previous_attributes` are made: all fields may be absent.
function partialSchema(node, scope) {
  const symbol = symbolAt(node.typeName);
  const declaration = declarationOf(symbol, ts.isInterfaceDeclaration);
  if (!declaration) {
    const alias = declarationOf(symbol, ts.isTypeAliasDeclaration);
    if (!alias || !ts.isUnionTypeNode(alias.type)) return fail("Partial of what?", node);
    return union(alias.type.types.map((type) => partialSchema(type, scope)));
  }
  return reference(`Partial<${nameOf(symbol)}>`, () => {
    const { required, ...schema } = objectSchema(interfaceMembers(declaration, new Map()));
    return schema;
  });
}

// Members by name, those of the extended interfaces first, so that own ones replace them.
function interfaceMembers(declaration, scope) {
  const members = new Map();
  for (const clause of declaration.heritageClauses ?? []) {
    for (const base of clause.types) {
      const extended = declarationOf(symbolAt(base.expression), ts.isInterfaceDeclaration);
      if (!extended) fail("extends something that is not an interface", base);
      const inherited = interfaceMembers(extended, argumentsOf(extended, base, scope));
      inherited.forEach((member, name) => members.set(name, member));
    }
  }
  membersOf(declaration.members, scope).forEach((member, name) => members.set(name, member));
  return members;
}

function membersOf(nodes, scope) {
  const members = new Map();
  for (const node of nodes) {
    if (ts.isIndexSignatureDeclaration(node)) {
      members.set("*", { schema: schemaOf(node.type, scope), optional: true });
    } else if (ts.isPropertySignature(node)) {
      const schema = schemaOf(node.type, scope);
      members.set(node.name.text, { schema, optional: Boolean(node.questionToken) });
    } else if (!ts.isMethodSignature(node)) {
      fail("unknown kind of member", node);
    }
  }
  return members;
}

function objectSchema(members) {
  const named = [...members].filter(([name, { schema }]) => name !== "*" && schema !== NEVER);
  const properties = Object.fromEntries(named.map(([name, { schema }]) => [name, schema]));
  const required = named.filter(([, { optional }]) => !optional).map(([name]) => name);
  const rest = members.get("*")?.schema ?? false;
  return { type: "object", properties, required, additionalProperties: rest };
}

// What lists and searches come in, also exported with items of any type.
const ENVELOPES = new Set(["ApiList", "ApiSearchResult"]);

// API objects and events of v1; not the client's own types, nor what requests are made of.
function isResource(declaration, name) {
  const { fileName } = declaration.getSourceFile();
  return fileName.includes("/resources/") && !/^V2\.|Params\b|Resource$/.test(name);
}

function exportRoots() {
  for (const [symbol, name] of publicNames) {
    const declaration = declarationOf(symbol, ts.isInterfaceDeclaration);
    if (ENVELOPES.has(name)) {
      interfaceReference(symbol, declaration, new Map([["T", { name: "unknown", schema: {} }]]));
    } else if (declaration && !declaration.typeParameters && isResource(declaration, name)) {
      interfaceReference(symbol, declaration, new Map());
    }
  }
  while (pending.length) {
    const [name, build] = pending.shift();
    definitions.set(name, build());
  }
}

// Reads off which definitions are API objects and which are events of one type.
function indexes() {
  const objects = {};
  const events = {};
  for (const name of publicNames.values()) {
    const properties = definitions.get(name)?.properties ?? {};
    const [object, ...more] = properties.object?.enum ?? [];
    const types = properties.type?.enum ?? [];
    if (object === "event" && types.length === 1) events[types[0]] = name;
    else if (object && !more.length) (objects[object] ??= []).push(name);
  }
  return { objects, events };
}

function sorted(table) {
  return Object.fromEntries(Object.entries(table).sort(([a], [b]) => (a < b ? -1 : 1)));
}

// What an up-to-date schema is made from: the package and these two files.
function source() {
  const { version } = JSON.parse(readFileSync(resolve(packageFolder, "package.json")));
  const digest = createHash("sha256");
  for (const file of ["declarations.mjs", "export.mjs"]) {
    digest.update(readFileSync(resolve(here, file)));
  }
  return { stripe: version, exporter: digest.digest("hex") };
}

function main() {
  readNames();
  exportRoots();
  const { objects, events } = indexes();
  const schema = {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    "x-source": source(),
    "x-api-version": apiVersion(),
    "x-objects": sorted(objects),
    "x-events": sorted(events),
    $defs: sorted(Object.fromEntries(definitions)),
  };
  mkdirSync(dirname(output), { recursive: true });
  const unfinished = `${output}.${process.pid}`; // readers never see half a file
  writeFileSync(unfinished, JSON.stringify(schema));
  renameSync(unfinished, output);
  console.log(`${definitions.size} definitions, ${Object.keys(events).length} event types`);
}

main();
