// HTTP echo server and its client: `node http.js server PORT`, `node http.js client PORT COUNT`.
'use strict';
const http = require('http');
const [role, port, count] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];

function serve() {
  const server = http.createServer((request, response) => {
    response.setHeader('X-Method', request.method);
    request.pipe(response);
  });
  server.listen(port, '127.0.0.1', () => console.log('ready'));
}

// One request with a body of `size` octets; resolves when the same octets have come back.
function ask(agent, size) {
  const body = Buffer.alloc(size, `${size} octets, `);
  return new Promise((resolve, reject) => {
    const options = { agent, port, host: '127.0.0.1', method: 'POST' };
    const request = http.request(options, (response) => {
      const pieces = [];
      response.on('data', (piece) => pieces.push(piece));
      response.on('error', reject);
      response.on('end', () => {
        const right = response.statusCode === 200 && response.headers['x-method'] === 'POST' &&
          Buffer.concat(pieces).equals(body);
        return right ? resolve() : reject(new Error(`wrong answer to ${size} octets`));
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

// Half of the requests share kept connections, half have their own.
async function check() {
  const kept = new http.Agent({ keepAlive: true, maxSockets: 4 });
  const single = new http.Agent({ keepAlive: false, maxSockets: 8 });
  const asked = [];
  for (let i = 0; i < count; i++) asked.push(ask(i % 2 ? kept : single, 1 + i * 997));
  await Promise.all(asked);
  kept.destroy();
  console.log(`${count} answers are right`);
}

if (role === 'server') serve();
else check().catch((error) => { console.error(error); process.exit(1); });
