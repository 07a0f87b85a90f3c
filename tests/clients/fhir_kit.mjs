// One line of JSON a step: what fhir-kit-client got. https://github.com/Vermonster/fhir-kit-client
import { Client, CapabilityTool } from 'fhir-kit-client';

const client = new Client({ baseUrl: process.argv[2] });
const family = `Kit-${Date.now()}`;
const say = (step, got) => console.log(JSON.stringify({ step, got }));
const refusal = (call) => call.then(() => 'nothing', (error) => error.response?.status ?? String(error));

const capabilities = new CapabilityTool(await client.capabilityStatement());
say('capabilities', [capabilities.serverCan('transaction'), capabilities.resourceCan('Patient', 'patch')]);

const body = { resourceType: 'Patient', active: true, name: [{ family, given: ['Jane'] }] };
const made = await client.create({ resourceType: 'Patient', body });
const { id } = made;
say('create', [Client.httpFor(made).response.status, made.meta.versionId]);
say('read', (await client.read({ resourceType: 'Patient', id })).name[0].family === family);

const updated = await client.update({ resourceType: 'Patient', id, body: { ...body, id, gender: 'female' } });
say('update', updated.meta.versionId);
const jsonPatch = [{ op: 'replace', path: '/active', value: false }];
const patched = await client.patch({ resourceType: 'Patient', id, jsonPatch });
say('patch', [patched.active, patched.gender, patched.meta.versionId]);
say('vread', (await client.vread({ resourceType: 'Patient', id, version: '1' })).active);
say('history', (await client.history({ resourceType: 'Patient', id })).entry.map((e) => e.resource.meta.versionId));

const observation = {
  resourceType: 'Observation', status: 'final', code: { text: 'x' }, subject: { reference: `Patient/${id}` },
};
const entry = Array.from({ length: 5 }, () => ({
  resource: observation, request: { method: 'POST', url: 'Observation' },
}));
const answer = await client.transaction({ body: { resourceType: 'Bundle', type: 'transaction', entry } });
say('transaction', answer.entry.map((e) => e.response.status.slice(0, 3)));

const sizes = [];
let bundle = await client.search({ resourceType: 'Observation', searchParams: { patient: id, _count: '2' } });
while (bundle) {
  sizes.push(bundle.entry.length);
  bundle = await client.nextPage({ bundle });
}
say('pages', sizes);
const searchParams = { family };
const posted = await client.search({ resourceType: 'Patient', searchParams, options: { postSearch: true } });
say('search by POST', posted.entry.map((e) => e.resource.id === id));
const compartment = { resourceType: 'Patient', id };
say('compartment', (await client.compartmentSearch({ resourceType: 'Observation', compartment })).entry.length);
const [first] = answer.entry[0].response.location.split('/_history').slice(0, 1);
const found = await client.read({ resourceType: 'Observation', id: first.split('/').at(-1) });
say('reference', (await client.resolve({ reference: found.subject.reference })).id === id);

await client.delete({ resourceType: 'Patient', id });
say('deleted', await refusal(client.read({ resourceType: 'Patient', id })));
say('unknown', await refusal(client.read({ resourceType: 'Patient', id: 'never-there' })));
