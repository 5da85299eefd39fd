/** Prompts with the place where they may be answered, from templates written apart from the detectors. For figures alone. */
import { fill } from './template.js'
import { secretMakers, Values } from './values.js'

/** Health, finances, secrets: must stay. */
const staying: readonly string[] = [
  'Summarise this discharge letter: Patient {person}, admitted {date}, acute appendicitis, discharged on paracetamol.',
  'Fasse den Arztbrief zusammen: Die Patientin klagt über Migräne, verordnet wurde Sumatriptan 50 mg.',
  'My husband was told he has prostate cancer, write a letter to our employer asking for leave.',
  'Meine Schwester nimmt seit {year} Sertralin und möchte absetzen, was soll sie beachten?',
  'Write a referral for {person}: ICD-10 F32.1, please see within two weeks.',
  'Erstelle einen Kurzbericht, Diagnose J45.0, Patientennummer {count}-{count}',
  'Employee {person} has been on sick leave because of burnout since {date}. Draft a neutral note.',
  'Lab results of the patient show elevated HbA1c, diabetes is likely. Explain them to her.',
  'MRN: {count}{count}\nDOB {date}\nAllergies: penicillin. Write the admission note.',
  'Mitarbeiter {person} ist an Hepatitis C erkrankt, wie informieren wir das Team?',
  'Here is my bank statement, where can I save?\n{date} Rent -{amount} EUR\n{date} Salary {amount} EUR\n{date} Groceries -{amount} EUR',
  'Prüfe den Kontoauszug: alter Saldo {amount} EUR, Lastschrift {amount} EUR, neuer Saldo {amount} EUR',
  'Explain this payslip: gross pay {amount} EUR, tax {amount} EUR, net pay {amount} EUR',
  'Erkläre die Gehaltsabrechnung von {person}: Bruttolohn {amount} €, Auszahlungsbetrag {amount} €',
  'Wire to account number {count}{count}, routing number 021000021, amount {amount} USD. Check the form.',
  'Journal entry: debit receivables {amount} EUR, credit revenue {amount} EUR. Is it right?',
  'date;description;debit;credit;balance\n{date};Invoice;{amount};;{amount}\n{date};Fee;;{amount};{amount}\n{date};Transfer;{amount};;{amount}',
  'Unsere Bilanz zeigt Forderungen von {amount} EUR und Verbindlichkeiten von {amount} EUR, was bedeutet das?',
  'Why does this fail? curl -H "Authorization: Bearer {token}" {url}',
  'Our config: {secret}\nWhat else do we need?',
  'Das Passwort: {password} geht nicht, woran kann es liegen?',
  'Deploy with {secret} and tell me whether it worked.',
]

/** Nothing of the sort: may leave, some of it after redaction. */
const leaving: readonly string[] = [
  'What is the capital of Portugal, and how many people live there?',
  'Schreibe eine Einladung zum Sommerfest am {date} um {time} Uhr.',
  'Explain how a B-tree splits its nodes.',
  'Wie funktioniert eine Wärmepumpe?',
  'Translate to German: The meeting moved from {date} to {date}.',
  'Write a function that sorts {count} numbers in place.',
  'Draft a reply to {email}: we accept the invitation.',
  'Ruf {phone} an und frage nach den Öffnungszeiten. Was sage ich zuerst?',
  'Summarise {url} in three sentences.',
  'Upgrade from version {version} to {version}: what breaks?',
  'What does the error "connection refused" to {ip} mean?',
  'Compare Rust and Go for network services.',
  'Give me five names for a bakery in Lisbon.',
  'Rewrite politely: your order {order} is late.',
  'Was bedeutet der Begriff Entropie in der Informatik?',
  'How do I revert commit {hash} without losing later work?',
  'Plan a three-day trip to Vienna in {year}.',
  'Explain the rule of 72 with an example.',
  'Welche Bücher über Demokratie empfiehlst du?',
  'Write a unit test for a parser of dates like {date}.',
]

export interface Prompt {
  readonly text: string
  readonly stays: boolean
}

export function prompts(each: number, seed: number): Prompt[] {
  const values = new Values(seed)
  const families = Object.values(secretMakers)
  const spelled = (template: string) =>
    template
      .replace('{token}', () => values.from('ABCDEFGHabcdefgh0123456789', 40))
      .replace('{secret}', () => values.pick(families)(values).replace(/[{}]/g, ''))
      .replace('{password}', () => `${values.from('abcdefghkmnp', 6)}${values.digits(3)}!`)
  const from = (templates: readonly string[], stays: boolean): Prompt[] =>
    templates.flatMap((template) =>
      Array.from({ length: each }, () => ({ text: fill(spelled(template), values).text, stays })),
    )
  return [...from(staying, true), ...from(leaving, false)]
}
