// Reads the type declarations of the npm package "stripe" with the TypeScript compiler: which
// symbol a name means, and under which name namespace Stripe exports it. What the types mean as
// JSON Schema is left to export.mjs.
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

export const here = dirname(fileURLToPath(import.meta.url));
export const packageFolder = resolve(here, "node_modules/stripe");
const entry = resolve(packageFolder, "esm/stripe.esm.node.d.ts");

// Declarations only: no standard library, nothing of @types, nothing is emitted.
const program = ts.createProgram([entry], {
  noLib: true,
  types: [],
  skipLibCheck: true,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  target: ts.ScriptTarget.ES2022,
});
const checker = program.getTypeChecker();

export const publicNames = new Map(); // symbol -> name inside namespace Stripe

export function fail(message, node) {
  throw new Error(`${message}: ${node.getText()} (${node.getSourceFile().fileName})`);
}

function target(symbol) {
  return symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
}

export function declarationOf(symbol, test) {
  return (symbol?.declarations ?? []).find(test);
}

// The symbol that a name means, or undefined: the standard library is not loaded.
export function symbolAt(name) {
  const found = name && checker.getSymbolAtLocation(name);
  return found && target(found);
}

// Names everything that namespace Stripe exports, at any depth of its own namespaces.
function collectPublicNames(namespace, prefix) {
  for (const exported of checker.getExportsOfModule(namespace)) {
    const symbol = target(exported);
    const name = prefix + exported.name;
    const isInterface = declarationOf(symbol, ts.isInterfaceDeclaration);
    if (isInterface || declarationOf(symbol, ts.isTypeAliasDeclaration)) {
      if (!publicNames.has(symbol)) publicNames.set(symbol, name);
    } else if (declarationOf(symbol, ts.isModuleDeclaration)) {
      collectPublicNames(symbol, `${name}.`);
    }
  }
}

// "Price.Recurring" for nested types; types that are not exported go by their file.
export function nameOf(symbol) {
  const known = publicNames.get(symbol);
  if (known) return known;
  const { parent } = symbol;
  if (parent && !(parent.flags & ts.SymbolFlags.ValueModule && parent.name.startsWith('"'))) {
    return `${nameOf(parent)}.${symbol.name}`;
  }
  const file = symbol.declarations[0].getSourceFile().fileName;
  return `${file.slice(packageFolder.length + "/esm/".length, -".d.ts".length)}#${symbol.name}`;
}

// The version of the API that the declarations describe.
export function apiVersion() {
  const file = program.getSourceFile(resolve(packageFolder, "esm/apiVersion.d.ts"));
  return /ApiVersion = "([^"]+)"/.exec(file.text)[1];
}

export function readNames() {
  const module = checker.getSymbolAtLocation(program.getSourceFile(entry));
  const exports = checker.getExportsOfModule(module).map(target);
  collectPublicNames(exports.find((symbol) => symbol.name === "Stripe"), "");
}
