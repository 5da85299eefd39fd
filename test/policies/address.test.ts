/** Addresses that names may lead to. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressRefusal, hostRefusal } from '../../policies/address.js'
import { addressList } from '../../policies/network.js'

test('an address that is not of the open net is dialled only where it is named, and some not even then', () => {
  for (const address of ['93.184.215.14', '2606:2800:21f:cb07:6820:80da:af6b:8b2c'])
    assert.equal(addressRefusal(address, []), undefined, address)
  const named = [
    '127.0.0.1',
    '127.8.8.8',
    '10.1.2.3',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '100.64.0.1',
    '192.0.2.1',
    '198.18.0.1',
    '::1',
    'fd12::1',
    'fc00::1',
    '2001:db8::1',
  ]
  for (const address of named) {
    assert.equal(addressRefusal(address, []), 'private', address)
    assert.equal(addressRefusal(address, [address]), undefined, address)
  }
  const never = [
    '0.0.0.0',
    '169.254.169.254',
    '169.254.0.1',
    '100.100.100.200',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    'fe80::1',
    'ff02::1',
    'fd00:ec2::254',
    '::ffff:127.0.0.1',
    '::ffff:a00:1',
    '::127.0.0.1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::1',
  ]
  for (const address of never) {
    assert.equal(addressRefusal(address, []), 'never reached', address)
    assert.equal(addressRefusal(address, [address]), 'never reached', address)
  }
  for (const text of ['', 'localhost', '1.2.3', '0x7f000001', '2130706433', '127.1', 'fe80::1%lo', '1.2.3.4 '])
    assert.equal(addressRefusal(text, []), 'no address', text)
})

test('where addresses are named, no other is dialled; a machine’s own are private whatever they look like', () => {
  assert.equal(addressRefusal('93.184.215.14', ['10.0.0.0/8']), 'not among allowed_ips')
  assert.equal(addressRefusal('10.9.9.9', ['10.0.0.0/8']), undefined)
  assert.equal(addressRefusal('::ffff:10.0.0.1', ['10.0.0.0/8']), 'never reached')
  assert.equal(addressRefusal('93.184.215.14', [], addressList(['93.184.215.14'])), 'private')
})

test('a host that says by itself where it leads is judged by its name; any other has to be looked up', () => {
  assert.equal(hostRefusal('10.1.2.3', []), 'private')
  assert.equal(hostRefusal('10.1.2.3', ['10.0.0.0/8']), undefined)
  assert.equal(hostRefusal('169.254.169.254', ['169.254.169.254']), 'never reached')
  assert.equal(hostRefusal('93.184.215.14', []), undefined)
  for (const host of ['localhost', 'a.localhost']) {
    assert.equal(hostRefusal(host, []), 'private', host)
    assert.equal(hostRefusal(host, ['127.0.0.1', '::1']), undefined, host)
  }
  for (const host of ['docs.example.org', 'localhost.example.org', 'mylocalhost'])
    assert.equal(hostRefusal(host, []), undefined, host)
})
