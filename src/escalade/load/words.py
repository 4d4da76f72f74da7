"""The vocabulary of prompts: 512 common English words, most of them one token each."""

WORDS = tuple(
    """
about above across action activity actor after again age air along always among analysis ancient
apple area arm around art artist ask attack autumn baby back bad bag bank bathroom bear bed
before begin behind believe below beneath between beyond big bird black blue boat book bottle
box boy brave bread break bright bring brother brown build building business buy calm campaign
captain car care carry case cat catch cave center central chair chance change choice church city
class clean clear climb close closed cloud coat cold college common community complex computer
condition control cook cool corner country couple course court create culture cup dance dark
data daughter day death decision deep defense desert design digital director dirty doctor door
double draw drink drive driver drop drug during early eat economic economy education effect
empty end energy engine engineer enter event except eye face fact family farm farmer fast field
fight figure film final find fine fire fish fix flat floor fly follow foot foreign forest form
friend fruit full future garden girl give glass global glove goal gold gray great green ground
group grow guide hair half hammer hand happy hard hat health hear heart heavy help here high
hill hold home hope horse hospital hot hotel house human husband idea image industry inside
interest island issue job join judge jump keep kid kind king kitchen knife know lake lamp large
late later law lawyer lead leader leave legal letter level library life lift like line lion
listen little local lock long lose lot loud love low machine main make man market material
matter medical meet member milk mind minor minute mirror model modern money month moon morning
mother mountain move museum music name narrow nation national natural near never new news night
north now number ocean office official often oil old open orange outside over paint palace paper
parent part past path patient pay people period person phone piece pilot pink place plan plane
plant play player point police policy political poor power practice president price prince
private problem product project protect public pull purple push queen quick quiet rain rare rate
read reason receive red regional repair report research rest result rich ride right ring risk
river road role room rough round rule run sad sail save say school scientist search season
security send sense service sharp sheep ship shirt shoe short show side silver simple since sing
single site situation sky sleep slow small smooth snow social society soft soldier sometimes son
source south space speak spend spring star state step stone stop storm story street strong study
sugar summer sun support swim system take talk tax teach teacher team tell temple test theater
then there thick thin thing through throw time today tomorrow tool toward tower train travel
tree truck try tunnel turn under until upon use usually valley value village visit voice wait
wake walk wall want warm watch water way weak week wet white whole wide wife win wind window
winter with within without wolf woman wood word worker world write writer year yellow yesterday
""".split()  # noqa: SIM905 - quoted, they would fill three pages
)
