// Validates deploy/kubernetes against the OpenAPI schemas of Kubernetes and the Prometheus operator:
//   node kubernetes.mjs FOLDER
// Misspelt fields are errors too, as with `kubectl apply --validate=strict`.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { Deployment } from "kubernetes-models/apps/v1/Deployment";
import { HorizontalPodAutoscaler } from "kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler";
import { Ingress } from "kubernetes-models/networking.k8s.io/v1/Ingress";
import { NetworkPolicy } from "kubernetes-models/networking.k8s.io/v1/NetworkPolicy";
import { PodDisruptionBudget } from "kubernetes-models/policy/v1/PodDisruptionBudget";
import { Service } from "kubernetes-models/v1/Service";
import { PodMonitor } from "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PodMonitor";
import { parseAllDocuments } from "yaml";

const models = [Deployment, HorizontalPodAutoscaler, Ingress, NetworkPolicy, PodDisruptionBudget, PodMonitor, Service];
const folder = process.argv[2];
const errors = [];

// `value` with every read of a property noted in `seen`: a validator reads the fields that its schema knows.
function watched(value, path, seen) {
  if (value === null || typeof value !== "object") return value;
  return new Proxy(value, {
    get(target, key) {
      if (typeof key === "symbol" || !Object.hasOwn(target, key)) return target[key];
      seen.add(`${path}/${key}`);
      return watched(target[key], `${path}/${key}`, seen);
    },
  });
}

function unread(value, path, seen) {
  if (value === null || typeof value !== "object") return [];
  return Object.entries(value).flatMap(([key, child]) =>
    seen.has(`${path}/${key}`) ? unread(child, `${path}/${key}`, seen) : [`${path}/${key}`]);
}

function validate(file, manifest) {
  const model = models.find((one) => one.apiVersion === manifest.apiVersion && one.kind === manifest.kind);
  if (!model) return errors.push(`${file}: unknown kind ${manifest.apiVersion} ${manifest.kind}`);
  const seen = new Set();
  try {
    Reflect.apply(model.prototype.validate, watched(manifest, "", seen), []);
  } catch (error) {
    return errors.push(`${file}: ${error.message}`);
  }
  for (const path of unread(manifest, "", seen)) errors.push(`${file}: unknown field ${path}`);
}

const files = readdirSync(folder).filter((file) => file.endsWith(".yaml")).sort();
const listed = [];
for (const file of files) {
  const documents = parseAllDocuments(readFileSync(join(folder, file), "utf8"));
  for (const document of documents) {
    for (const error of document.errors) errors.push(`${file}: ${error.message}`);
    const manifest = document.toJS();
    if (file === "kustomization.yaml") listed.push(...manifest.resources);
    else validate(file, manifest);
  }
}
for (const file of files) {
  if (file !== "kustomization.yaml" && !listed.includes(file)) errors.push(`kustomization.yaml: does not list ${file}`);
}
for (const file of listed) {
  if (!files.includes(file)) errors.push(`kustomization.yaml: ${file} does not exist`);
}
for (const error of errors) console.error(error);
console.log(`kubernetes: ${files.length} files, ${errors.length} errors`);
process.exit(errors.length === 0 ? 0 : 1);
