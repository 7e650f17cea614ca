"""Which column of a file is what: headers, by the names that people and programs give them."""

import re

NAMES: dict[str, tuple[str, ...]] = {
    "name": ("name", "fullname", "contact", "contactname", "lead", "leadname", "ansprechpartner"),
    "first_name": ("firstname", "givenname", "forename", "vorname"),
    "last_name": ("lastname", "surname", "familyname", "nachname"),
    "email": ("email", "mail", "emailaddress", "mailaddress", "workemail", "emailadresse"),
    "phone": (
        *("phone", "phonenumber", "telephone", "telephonenumber", "tel", "mobile", "mobilephone", "mobilenumber"),
        *("cell", "cellphone", "telefon", "telefonnummer", "handy"),
    ),
    "company": ("company", "companyname", "organisation", "organization", "account", "accountname", "firma"),
    "country": ("country", "countrycode", "land"),
    "time_zone": ("timezone", "tz", "zeitzone"),
    "source": ("source", "leadsource", "origin", "utmsource", "quelle", "herkunft"),
    "tags": ("tags", "tag", "labels", "label"),
}
KNOWN = {name: field for field, names in NAMES.items() for name in names}
SAID = "name (or first name and last name), e-mail, phone, company, country, time zone, source, tags"


def field_of(header: str) -> str | None:
    """What a column of this name holds; None: nothing that a lead has."""
    return KNOWN.get(re.sub(r"[\W_]", "", header.casefold()))
