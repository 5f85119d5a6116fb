// Reads messages from standard input, each behind its length in four octets, and
// writes for each a line of JSON with the leaves that the reader named in the
// argument shows: [{type, name, text}, ...], text in base64.
'use strict';
const { simpleParser } = require('mailparser');
const PostalMime = require('postal-mime').default || require('postal-mime');

const base64 = content => Buffer.from(content || '').toString('base64');

async function mailparser(raw) {
    const mail = await simpleParser(raw, { skipHtmlToText: true, skipTextToHtml: true, skipTextLinks: true, skipImageLinks: true });
    const leaves = mail.attachments.map(a => ({ type: a.contentType, name: a.filename || '', text: base64(a.content) }));
    return leaves.concat([{ type: 'text', name: '', text: base64(mail.text) }, { type: 'html', name: '', text: base64(mail.html) }]);
}

async function postal(raw) {
    const mail = await PostalMime.parse(raw, { forceRfc822Attachments: false });
    const leaves = mail.attachments.map(a => ({ type: a.mimeType, name: a.filename || '', text: base64(a.content) }));
    return leaves.concat([{ type: 'text', name: '', text: base64(mail.text) }, { type: 'html', name: '', text: base64(mail.html) }]);
}

async function main() {
    const read = { mailparser, 'postal-mime': postal }[process.argv[2]];
    let pending = Buffer.alloc(0);
    for await (const chunk of process.stdin) {
        pending = Buffer.concat([pending, chunk]);
        let at = 0;
        while (pending.length - at >= 4 && pending.length - at - 4 >= pending.readUInt32BE(at)) {
            const end = at + 4 + pending.readUInt32BE(at);
            let answer;
            try {
                answer = await read(Buffer.from(pending.subarray(at + 4, end)));
            } catch (err) {
                answer = [{ type: 'error', name: '', text: base64(String(err)) }];
            }
            process.stdout.write(JSON.stringify(answer) + '\n');
            at = end;
        }
        pending = pending.subarray(at);
    }
}

main();
