/** Words that give a number its meaning, English and German, in canonical spelling: small letters, no marks (`fur`, `arztin`). */

import { digitWordList, spokenSigns } from '../view/guess.js'

export const topics = {
  digit: digitWordList,
  spoken: spokenSigns,
  card: split(
    'card|cards|credit card|debit card|card number|visa|mastercard|amex|american express|kreditkarte|kreditkartennummer|kartennummer|karte|girocard|cvv|cvc|pan|kk-nr|maestro|discover',
  ),
  nationalId: split(
    'ssn|social security|social security number|social|soc sec|tax id|taxpayer id|itin|steuer-id|steuer id|steueridentifikationsnummer|steuerliche identifikationsnummer|idnr|tin|sozialversicherungsnummer|rentenversicherungsnummer|sv-nummer|svnr|rvnr|ahv|ahv-nummer|ahv-nr',
  ),
  phone: split(
    'tel|tel.|phone|telephone|mobile|cell|cellphone|call|fax|telefon|telefonnummer|mobil|mobilnummer|handy|handynummer|rufnummer|durchwahl|anrufen|anruf|ruf|erreichbar|erreichen|whatsapp|sms|dial|ring|text me|callback|hotline|reach|contact|kontakt|telefonisch|ruckruf|number is|zuruckrufen|rufen|rufen sie|ring me|give me a call|buro',
  ),
  birth: split(
    'born|dob|d.o.b|date of birth|birth date|birthdate|birthday|geboren|geb|geburtsdatum|geburtstag|geb.-datum|gebdat|birth',
  ),
  month: split(
    'january|february|march|april|may|june|july|august|september|october|november|december|jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec|januar|februar|marz|maerz|mai|juni|juli|oktober|dezember|mrz|okt|dez',
  ),
  notPhone: split(
    'order|invoice|ticket|tracking|reference|ref|serial|isbn|sku|part|article|item|batch|lot|build|commit|version|bestellung|bestellnummer|rechnung|rechnungsnummer|auftrag|auftragsnummer|artikel|artikelnummer|vorgang|vorgangsnummer|aktenzeichen|sendung|sendungsnummer|seriennummer|charge|id|case|port|pid|timestamp|hash|checksum|steuernummer|ustid|kundennummer|customer number|invoice number|model|error|code|row|rows|zeile|zeilen',
  ),
  version: split(
    'version|release|build|firmware|upgrade|upgraded|v|kernel|driver|treiber|section|abschnitt|kapitel|chapter|oid',
  ),
  // health
  care: split(
    'patient|patients|patientin|patienten|diagnosed|diagnosis|diagnose|diagnoses|diagnostiziert|prescribed|prescription|prescribe|verschrieben|verordnet|rezept|symptoms|symptom|symptome|treated|treatment|behandlung|behandelt|therapy|therapie|doctor|dr|physician|arzt|arztin|hausarzt|facharzt|oncologist|onkologe|psychiatrist|psychiater|therapist|therapeut|hospital|krankenhaus|klinik|clinic|icu|ward|station|surgery|surgeon|operation|operiert|medication|medications|medikament|medikamente|dose|dosage|dosis|dosierung|taking|takes|nimmt|nehme|mg|mcg|ml|suffers from|suffering from|leidet an|leidet unter|leide an|leide unter|erkrankt|erkrankung|krank|tested positive|positiv getestet|medical history|anamnese|befund|arztbrief|discharge summary|entlassungsbrief|admitted|eingeliefert|aufgenommen|lab results|laborwerte|blood test|blutbild|biopsy|biopsie|mrt|mri|ct scan|vitals|blutdruck|blood pressure|allergies|allergien|allergic|pregnant|schwanger|sick leave|krankschreibung|krankgeschrieben|relapse|ruckfall|chronic|chronisch|his|her|my|she|he|mein|meine|meiner|sein|seine|ihr|ihre|mother|father|mutter|vater|wife|husband|son|daughter|sohn|tochter|employee|mitarbeiter|mitarbeiterin|kollege|kollegin|colleague',
  ),
  condition: split(
    'diabetes|type 2 diabetes|diabetes mellitus|hypertension|bluthochdruck|hypertonie|cancer|krebs|brustkrebs|breast cancer|lung cancer|lungenkrebs|carcinoma|karzinom|tumor|tumour|leukemia|leukaemia|leukamie|lymphoma|lymphom|melanoma|melanom|hiv|aids|hepatitis|hepatitis c|depression|depressive|depressiv|depressionen|major depressive disorder|bipolar|bipolare storung|schizophrenia|schizophrenie|anxiety disorder|angststorung|panic disorder|panikattacken|ptsd|ptbs|adhd|adhs|autism|autismus|borderline|burnout|dementia|demenz|alzheimer|parkinson|epilepsy|epilepsie|seizures|krampfanfalle|multiple sclerosis|multiple sklerose|stroke|schlaganfall|heart attack|herzinfarkt|myocardial infarction|myokardinfarkt|heart failure|herzinsuffizienz|atrial fibrillation|vorhofflimmern|asthma|copd|pneumonia|lungenentzundung|tuberculosis|tuberkulose|crohn|morbus crohn|colitis|colitis ulcerosa|rheumatoid arthritis|rheuma|arthritis|arthrose|osteoporosis|osteoporose|anemia|anamie|kidney failure|niereninsuffizienz|dialysis|dialyse|cirrhosis|zirrhose|miscarriage|fehlgeburt|abortion|abtreibung|infertility|unfruchtbarkeit|syphilis|gonorrhea|gonorrhoe|chlamydia|chlamydien|herpes|endometriosis|endometriose|migraine|migrane|bandscheibenvorfall|herniated disc|sepsis|covid|long covid|anorexia|anorexie|bulimia|bulimie|alcoholism|alkoholabhangigkeit|opioid dependence|suchterkrankung|suicidal|suizidal|thrombosis|thrombose|embolism|embolie|psoriasis|neurodermitis|lupus|hypothyroidism|schilddrusenunterfunktion|hashimoto|glaucoma|glaukom|gallstones|gallensteine|appendicitis|blinddarmentzundung|fibromyalgia|fibromyalgie|angina|arrhythmia|herzrhythmusstorungen|pancreatitis|pankreatitis|sleep apnea|schlafapnoe|gestational diabetes|schwangerschaftsdiabetes|preeclampsia|concussion|gehirnerschutterung',
  ),
  drug: split(
    'metformin|insulin|lisinopril|ramipril|amlodipine|amlodipin|metoprolol|bisoprolol|atorvastatin|simvastatin|losartan|candesartan|hydrochlorothiazide|furosemide|furosemid|warfarin|marcumar|phenprocoumon|apixaban|eliquis|rivaroxaban|xarelto|clopidogrel|aspirin|ass|omeprazole|pantoprazol|pantoprazole|levothyroxine|l-thyroxin|euthyrox|sertraline|sertralin|fluoxetine|fluoxetin|citalopram|escitalopram|venlafaxine|venlafaxin|mirtazapine|mirtazapin|bupropion|duloxetine|duloxetin|lithium|quetiapine|quetiapin|olanzapine|olanzapin|risperidone|risperidon|aripiprazole|aripiprazol|clozapine|clozapin|lorazepam|tavor|diazepam|alprazolam|zolpidem|methylphenidate|methylphenidat|ritalin|medikinet|adderall|lisdexamfetamine|oxycodone|oxycodon|morphine|morphin|fentanyl|tramadol|tilidin|methadone|methadon|buprenorphine|buprenorphin|naloxone|ibuprofen|paracetamol|acetaminophen|novaminsulfon|metamizol|prednisone|prednisolon|cortisone|cortison|amoxicillin|ciprofloxacin|doxycycline|doxycyclin|azithromycin|methotrexate|methotrexat|adalimumab|humira|etanercept|rituximab|trastuzumab|tamoxifen|letrozole|imatinib|cisplatin|levodopa|donepezil|lamotrigine|lamotrigin|levetiracetam|keppra|valproate|valproat|carbamazepine|carbamazepin|gabapentin|pregabalin|sumatriptan|salbutamol|albuterol|budesonide|truvada|descovy|biktarvy|tenofovir|semaglutide|ozempic|semaglutid|empagliflozin|jardiance|sitagliptin|tacrolimus|finasteride|sildenafil',
  ),
  healthCode: split(
    'icd|icd-10|icd10|icd-10-gm|icd code|icd-code|dx|diagnosis|diagnose|diagnoses|hauptdiagnose|nebendiagnose|diagnosis code|diagnoseschlussel|cpt|ops|ops-code|g|v.a.|z.n.',
  ),
  healthRecord: split(
    'mrn|medical record|medical record number|medical record no|patient id|patient number|patient no|chart number|health insurance number|member id|medicare|medicaid|nhs number|nhs no|patienten-id|patientennummer|patienten-nr|patientennr|fallnummer|fall-nr|versichertennummer|krankenversichertennummer|kvnr|krankenkassennummer|aufnahmenummer|pat.-nr|npi',
  ),
  // money
  accountNumber: split(
    'account number|account no|acct|acct no|acct number|account|bank account|routing number|routing|aba|sort code|kontonummer|konto-nr|kontonr|konto|kto|bankleitzahl|blz|depotnummer|depot|bic|swift|wire',
  ),
  moneyStrong: split(
    'bank statement|account statement|statement of account|opening balance|closing balance|payslip|pay stub|paystub|gross pay|net pay|payroll|balance sheet|income statement|profit and loss|cash flow statement|general ledger|trial balance|accounts payable|accounts receivable|tax return|w-2|kontoauszug|kontoauszuge|anfangssaldo|endsaldo|alter saldo|neuer saldo|kontostand|gehaltsabrechnung|lohnabrechnung|bruttolohn|nettolohn|bruttogehalt|nettogehalt|auszahlungsbetrag|bilanz|gewinn- und verlustrechnung|guv|einnahmenuberschussrechnung|summen- und saldenliste|steuerbescheid|einkommensteuererklarung|depotauszug|kreditorenliste|debitorenliste|brokerage statement|portfolio value|loan balance|darlehenssaldo|restschuld|buchungsjournal|journal entry|journal entries|buchungssatz|salary|salaries|gehalt|gehaltsliste|net worth',
  ),
  money: split(
    'balance|saldo|debit|credit|soll|haben|deposit|withdrawal|einzahlung|abhebung|transfer|uberweisung|ueberweisung|lastschrift|dauerauftrag|gutschrift|buchung|buchungen|wertstellung|valuta|transaction|transactions|transaktion|transaktionen|verwendungszweck|ledger|hauptbuch|invoice|rechnung|revenue|umsatz|umsatzerlose|ebitda|expenses|aufwand|aufwendungen|receivable|payable|forderungen|verbindlichkeiten|amount|betrag|payment|zahlung|zahlungseingang|zahlungsausgang|fee|gebuhr|gebuhren|interest|zinsen|tax|steuer|lohnsteuer|mortgage|hypothek|loan|kredit|darlehen|dividend|dividende|shares|aktien|eur|usd|posted|pending|payee|empfanger|auftraggeber|withholding|bonus|margin|budget',
  ),
} as const satisfies Record<string, readonly string[]>

export type Topic = keyof typeof topics

function split(words: string): readonly string[] {
  return words.split('|')
}
